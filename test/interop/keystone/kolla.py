"""Renders what kolla-ansible's role makes for Apache and Keystone: kolla.py ANSIBLE-DIR GLOBALS FACTS-JSON, JSON on standard output.

Ansible's own order: group_vars/all, the role's defaults, globals, then facts. Variables are resolved when they are used, as
Ansible does, and a text that is one expression keeps the type of its value.
"""
import glob
import json
import os
import re
import sys
from urllib.parse import quote

import jinja2
import jinja2.nativetypes
import yaml


class Loader(yaml.SafeLoader):
    pass


class Unsafe(str):
    """A text that Ansible never takes for a template."""


Loader.add_constructor("!unsafe", lambda loader, node: Unsafe(loader.construct_scalar(node)))
ansible, written, facts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
variables = {}
for path in sorted(glob.glob(f"{ansible}/group_vars/all/*.yml")) + [f"{ansible}/roles/keystone/defaults/main.yml", written]:
    with open(path) as file:
        variables.update(yaml.load(file, Loader) or {})
variables.update(facts)


def truth(value):
    return str(value).lower() in ("yes", "true", "on", "1")


filters = {
    "bool": truth,
    "urlencode": lambda text: quote(str(text), safe="/"),  # as Ansible's: a slash stays
    "kolla_address": lambda network, host=None: "127.0.0.1",
    "kolla_url": lambda host, protocol, port, path="": f"{protocol}://{host}:{port}{path}",
    "put_address_in_context": lambda address, context: f"[{address}]" if ":" in address and context == "url" else address,
}
options = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "keep_trailing_newline": True}
native = jinja2.nativetypes.NativeEnvironment(**options)
plain = jinja2.Environment(**options)
for environment in (native, plain):
    environment.filters.update(filters)




def names_in(text):
    return [name for name in re.findall(r"[A-Za-z_]\w*", text) if name in variables]


def fill(environment, text):
    known = {}
    for name in names_in(text):
        try:
            known[name] = resolve(variables[name])
        except jinja2.TemplateError:
            pass  # named beside what is used; a use of it fails as undefined
    return environment.from_string(text).render(known)


def resolve(value):
    if isinstance(value, Unsafe):
        return str(value)
    if isinstance(value, str):
        return fill(native, value) if "{{" in value or "{%" in value else value
    if isinstance(value, list):
        return [resolve(each) for each in value]
    if isinstance(value, dict):
        return {key: resolve(each) for key, each in value.items()}
    return value


def template(name, begin=None):
    with open(os.path.join(ansible, "roles/keystone/templates", name)) as file:
        text = file.read()
    return fill(plain, text if begin is None else text[text.index(begin):])


def metadata(providers):
    """The files of each provider's folder, templates of Ansible's themselves."""
    files = {}
    for folder in {provider["metadata_folder"] for provider in providers}:
        for name in os.listdir(folder):
            with open(os.path.join(folder, name)) as file:
                files[name] = fill(plain, file.read())
    return files


providers = resolve(variables["keystone_identity_providers"])
print(json.dumps({
    "httpd": template("httpd-keystone.conf.j2"),
    "keystone": template("keystone.conf.j2", "{% if enable_keystone_federation | bool %}"),
    "metadata": metadata(providers),
    "providers": providers,
    "mappings": resolve(variables["keystone_identity_mappings"]),
}))
