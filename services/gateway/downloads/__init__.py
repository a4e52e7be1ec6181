"""Downloads over plain HTTP: a run's log, a search in it, and tables as CSV.

    GET /api/flow-runs/{id}/logs?format=text|ndjson&gzip=true      the log, in order of (timestamp, sequence)
        filters: text (any case), level (several by commas), logger, task_run_id
        after=<timestamp>,<sequence>   only the part after that line: to continue a broken download
    GET /api/flow-runs/{id}/logs/search?text=...                   matches with their positions, and how many there are
        the same filters; limit (100, at most 1,000) and after=<position> for the next page
    GET /api/tables/{table}.csv?where=<JSON>&columns=id,name,flow.name&order=asc|desc&after=<id>
        `where` is the filter of the GraphQL list of that table; rows come in order of their ids

Authentication as for GraphQL, by the same headers. Examples, with a key in $KEY:

    curl -H "Authorization: Bearer $KEY" http://127.0.0.1:4200/api/flow-runs/$RUN/logs > run.log
    curl -H "Authorization: Bearer $KEY" -G http://127.0.0.1:4200/api/tables/flow_run.csv \\
         --data-urlencode 'where={"state": {"_eq": "Failed"}}' -d columns=id,name,flow.name,end_time

    import json, httpx                                             # a log that goes on where it broke off
    url, after = f"http://127.0.0.1:4200/api/flow-runs/{run}/logs", None
    with httpx.stream("GET", url, params={"format": "ndjson", **({"after": after} if after else {})},
                      headers={"Authorization": f"Bearer {key}"}) as answer:
        answer.raise_for_status()
        for line in map(json.loads, answer.iter_lines()):
            after = f"{line['timestamp']},{line['sequence']}"

Guarantees
* Memory is bounded by a page for logs of any length: PostgreSQL renders it, and the next page is read after it was
  sent.
* A download that fails on our side ends its connection without the last chunk: clients see that it is not complete.
* A client that leaves cancels its query. One that reads too slowly is dropped by the server
  (`libs/runtime/http_limits`), and one whose key ends meanwhile at the next page.
* Pages are read through the shares of the read pool (`reads.executor`), and use only a few connections: one tenant's
  downloads leave room for its own queries and for those of others. Beyond its share a request is answered 429 with
  Retry-After.
* A run of another tenant is answered like an unknown one: 404.
* Cells that a spreadsheet would take for a formula are quoted (`cells`).

    address and parameters   parameters, routes      the log in SQL   lines      tables   tables, cells
"""
