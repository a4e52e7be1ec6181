"""Mutations compiled once and run many times (ARCHITECTURE.md).

graphql-core needs a millisecond of CPU to execute the smallest mutation. Here a document is parsed and validated once;
its plan keeps how the arguments are coerced (`coercion`), which declared mutation runs (`plan`), and how the payload is
projected (`compiler`). The plan is found under the document's skeleton, since clients write ids into the text (`cache`
and `reads.documents`).

The plan covers what can go right. Whatever it does not cover (`compile_plan` answers None) and whatever does not fit
(`NotCoveredError`) goes to graphql-core, which answers the same and words the errors; a parity test
(tests/integration/gateway/test_parity.py) runs every mutation both ways.
"""
