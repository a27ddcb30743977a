"""Runs Keystone's own mapping engine: one JSON object a line in, {"mapping", "environment"}; one a line out.

Out is {"mapped": ...}, or {"error": class}; first one line {"keystone": version, "schemas": [...]}.
The order of a Python set is an accident of the process, so lists that come from sets are sorted; nothing else is touched.
"""

import json
import logging
import sys
import warnings

warnings.simplefilter('ignore')
logging.disable(logging.CRITICAL)

import importlib.metadata  # noqa: E402

import keystone.conf  # noqa: E402
from keystone.federation import utils  # noqa: E402

# Some exceptions read an option while they are made.
keystone.conf.configure()
keystone.conf.CONF([], project='keystone', default_config_files=[])

SCHEMAS = getattr(utils, 'IDP_ATTRIBUTE_MAPPING_SCHEMAS', None)
own = utils.RuleProcessor._evaluate_requirement


def in_order(self, values, assertion_values, eval_type, regex):
    found = own(self, values, assertion_values, eval_type, regex)
    # A whitelist of regular expressions keeps the order of the values and is no set.
    return sorted(found) if isinstance(found, list) and not (regex and eval_type == 'whitelist') else found


utils.RuleProcessor._evaluate_requirement = in_order


def processor(mapping):
    if SCHEMAS is None:
        return utils.RuleProcessor('mapping', mapping['rules'])
    kind = SCHEMAS[mapping.get('schema_version', '1.0')]['processor']
    return kind('mapping', mapping['rules'])


def plain(value):
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float('inf') else {'py': 'float'}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(each) for key, each in value.items()}
    return {'py': type(value).__name__}


def allowed(mapping):
    """Whether Keystone's own schema lets the mapping in."""
    try:
        utils.validate_mapping_structure({'schema_version': '1.0', **mapping})
        return True
    except Exception:
        return False


def answer(asked):
    try:
        mapped = processor(asked['mapping']).process(asked['environment'])
        result = {'mapped': plain(mapped)}
    except Exception as error:
        result = {'error': type(error).__name__}
    return {**result, 'allowed': allowed(asked['mapping'])}


def main():
    sys.stdout.reconfigure(errors='surrogatepass')
    print(json.dumps({'keystone': importlib.metadata.version('keystone')}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))))


main()
