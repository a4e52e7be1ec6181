"""Links that clients print and people keep: an id in an address is looked up, and the right page answered.

    /{slug}/flow/{id}  /flow/{id}  /{slug}/flow-run/{id}  /task-run/{id}  ...   domain.py: which thing is meant, pure
                                                                               endpoint.py: where it is, and the page

A link without a slug, or with a wrong one, is sent on to the tenant of what it names, if the caller may look there; ids
of others and of nobody get the same page. Only for `GET` with `Accept: text/html`, so no client that asks for data and
no missing asset gets a page. Where the dashboard is built its page is served, else a short one that says
what was found.
"""
