"""Files for the containers of docker-compose.yml: configurations of NATS and HAProxy, and `make env`."""
