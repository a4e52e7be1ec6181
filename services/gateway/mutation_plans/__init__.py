"""Mutations compiled once and run many times (ARCHITECTURE.md).

graphql-core needs a millisecond of CPU to execute the smallest mutation. Here a document is parsed and validated once;
its plan keeps how the arguments are coerced (`coercion`), which declared mutation runs (`plan`), and how the payload is
projected (`compiler`). The plan is found by the document's skeleton, because clients write ids into the text (`cache`
and `reads.documents`).

The plan covers only valid requests. Documents that it does not cover (`compile_plan` returns None) and requests that do
not fit (`NotCoveredError`) go to graphql-core, which gives the same answers and the error texts; a parity test
(tests/integration/gateway/test_parity.py) runs every mutation both ways.
"""
