#!/usr/bin/env python3
"""Checks the answers that `generate_walks` prints with the jsonschema package.

usage: check_walks.py PROGRAM
"""
import json
import subprocess
import sys
from decimal import Decimal

import jsonschema


def main():
    output = subprocess.run([sys.argv[1]], check=True, stdout=subprocess.PIPE).stdout
    lines = output.decode("utf-8").splitlines()
    for line in lines:
        case = json.loads(line)
        # Decimals, because a double is not an exact multiple of 0.01.
        schema = json.loads(json.dumps(case["schema"]), parse_float=Decimal)
        answer = json.loads(case["answer"], parse_float=Decimal)
        schema.setdefault("$schema", "https://json-schema.org/draft/2020-12/schema")
        jsonschema.Draft202012Validator(schema).validate(answer)
    print(f"{len(lines)} answers are valid")
    return 0 if len(lines) > 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
