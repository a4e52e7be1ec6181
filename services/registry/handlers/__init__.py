"""The verbs, one method each: parse, load, decide, write, answer.

`registration`   versions: made whole, or added to in pieces
`flows`          what happens to a version: archived, moved, scheduled, safeguarded, deleted
`groups`         what a group overrides; its deletion
`projects`       projects
`deletion`       many flows in transactions of a bounded size
"""
