#!/usr/bin/env python3
"""validate.py SCHEMA DOCUMENT: status 0 if the document is valid, else 1 and the first faults."""
import json
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
with open(sys.argv[2], encoding="utf-8") as file:
    document = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
faults = sorted(jsonschema.Draft202012Validator(schema).iter_errors(document), key=str)
for fault in faults[:5]:
    print("/".join(str(part) for part in fault.absolute_path), fault.message[:300])
sys.exit(1 if faults else 0)
