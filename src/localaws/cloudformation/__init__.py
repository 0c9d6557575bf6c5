"""CloudFormation as AWS does it: templates checked first, types that ministack lacks, the caller's rights.

Try it:  tests/local/test_localaws_templates.py, tests/local/test_resource_rights.py
`late` loads it all when a stack is first asked for.
"""
