"""All services together, GraphQL in and GraphQL out, driven by the real `prefect` package."""
