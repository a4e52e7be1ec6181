"""What the containers of docker-compose.yml are given: configurations of NATS and HAProxy, and `make env`."""
