"""A service behind keystonemiddleware's external_oauth2_token: for each token on standard input what it is told, as a line of JSON.

The argument is a JSON object of options for the group ext_oauth2_auth.
"""
import json
import sys

import webob
from oslo_config import cfg

try:
    from keystonemiddleware import external_oauth2_token
except ImportError:
    print(json.dumps({'missing': True}), flush=True)
    sys.exit()


def service(environ, start_response):
    start_response('200 OK', [('Content-Type', 'application/json')])
    told = {name: value for name, value in environ.items() if name.startswith('HTTP_X_')}
    return [json.dumps(told).encode()]


external_oauth2_token  # registers its options
cfg.CONF([], project='lotse-test')
for option, value in json.loads(sys.argv[1]).items():
    cfg.CONF.set_override(option, value, group='ext_oauth2_auth')
guarded = external_oauth2_token.filter_factory({})(service)

print(json.dumps({'missing': False}), flush=True)
for token in sys.stdin:
    request = webob.Request.blank('/')
    request.headers['Authorization'] = 'Bearer ' + token.strip()
    # What a client writes about itself never arrives.
    request.headers['X-Roles'] = 'admin'
    answer = request.get_response(guarded)
    told = json.loads(answer.body) if answer.status_int == 200 else {}
    print(json.dumps({'status': answer.status_int, 'told': told}), flush=True)
