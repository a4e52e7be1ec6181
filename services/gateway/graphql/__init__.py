"""The GraphQL schema: mutations in two dialects, the queries that are not tables, and the table queries of `reads`."""
