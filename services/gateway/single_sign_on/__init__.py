"""Log in with the provider of one's organisation: OpenID Connect, authorization code with PKCE.

    GET /session/ways        what the log-in page offers
    GET /session/sso         begin: to the provider (`?return_to=/runs` is where to be afterwards)
    GET /session/sso/return  back from the provider: the session's cookie, and on to `return_to`

Nothing is stored between the two. `state`, `nonce` and the PKCE verifier are in a sealed cookie of ten minutes, so only
the browser that began can end it. The provider's tokens are read and dropped: neither stored nor logged.

A person is known by (issuer, subject) for ever, never by the e-mail address, which providers give to others later. The
address, which must be verified, counts once, when somebody comes for the first time:

1. an invitation of that address lets in, with its role, and is used up;
2. else a rule of its domain does (`HEADWATER_OIDC_DOMAINS`), in the tenant `HEADWATER_OIDC_TENANT`;
3. else the log-in is refused, and says so.

Who is let in becomes a person of the tenant with a key of which nobody has the text: sessions name it, as those of
other keys do. So everything that ends a session ends these. The person's role is the most that the key may do, and
`set_membership_role` changes it. Who deletes the key, or the membership, ends every session of that person; then
neither a domain rule nor the provider lets them in again, only a new invitation.
"""
