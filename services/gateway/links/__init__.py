"""Links that clients print and people keep: an id in an address is looked up, and the right page is sent.

    /{slug}/flow/{id}  /flow/{id}  /{slug}/flow-run/{id}  /task-run/{id}  ...   domain.py: the object of a path, pure
                                                                               endpoint.py: its address, and the page

A link without a slug, or with a wrong one, is redirected to the tenant of its object, if the caller may read it;
foreign and unknown ids get the same page. Only for `GET` with `Accept: text/html`, so no client that asks for data and
no missing asset gets a page. If the dashboard is built its page is served, else a short page that says what was found.
"""
