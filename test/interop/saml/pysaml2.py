"""What pysaml2, as an identity provider that wants every message signed, makes of the gateway's messages.

Standard input: {"metadata": XML, "sp": entityID, "idp": entityID, "at": {"sso": URL, "slo": URL}, "key": path, "certificate": path,
"messages": [{"name", "binding", "text", "relay", "algorithm", "signature"}]}. Standard output: one list of what each was.
With "answer": {"to": id, "at": URL, "who": name, "attributes": {…}} instead of messages: its signed response to a request, as XML in JSON.
"""
import base64
import json
import sys
import zlib

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.samlp import authn_request_from_string, logout_request_from_string
from saml2.server import Server
from saml2.sigver import verify_redirect_signature
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

given = json.load(sys.stdin)
both = lambda url: [(url, BINDING_HTTP_REDIRECT), (url, BINDING_HTTP_POST)]
config = IdPConfig()
config.load(
    {
        "entityid": given["idp"],
        "xmlsec_binary": "/usr/bin/xmlsec1",
        "key_file": given["key"],
        "cert_file": given["certificate"],
        "metadata": {"inline": [given["metadata"]]},
        "service": {
            "idp": {
                "endpoints": {
                    "single_sign_on_service": both(given["at"]["sso"]),
                    "single_logout_service": both(given["at"]["slo"]),
                },
                "want_authn_requests_signed": True,
                "logout_requests_signed": True,
                "policy": {"default": {"name_form": NAME_FORMAT_URI, "attribute_restrictions": None}},
            }
        },
    }
)
server = Server(config=config)


def by_redirect(message):
    """This version parses signed forms alone; of a query it verifies the octets and reads the message by itself."""
    name = message["name"]
    parts = {"SAMLRequest": message["text"], "RelayState": message["relay"], "SigAlg": message["algorithm"]}
    parts["Signature"] = message["signature"]
    certificate = server.metadata.certs(given["sp"], "spsso", "signing")[0]
    if not verify_redirect_signature(parts, server.sec.sec_backend, certificate):
        raise ValueError("the signature is not over this")
    text = zlib.decompress(base64.b64decode(message["text"]), -15)
    reader = {"AuthnRequest": authn_request_from_string, "LogoutRequest": logout_request_from_string}[name]
    return reader(text)


def by_form(message):
    parse = {"AuthnRequest": server.parse_authn_request, "LogoutRequest": server.parse_logout_request}[message["name"]]
    return parse(message["text"], BINDING_HTTP_POST).message


def read(message):
    parsed = by_redirect(message) if message["binding"] == "redirect" else by_form(message)
    parsed.verify()
    return {"issuer": parsed.issuer.text, "id": parsed.id}


def judged(message):
    try:
        return read(message)
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}


def answered(to, at, who, attributes):
    name = NameID(format=NAMEID_FORMAT_PERSISTENT, text=who, name_qualifier=given["idp"], sp_name_qualifier=given["sp"])
    return str(
        server.create_authn_response(
            attributes,
            to,
            at,
            given["sp"],
            name_id=name,
            authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": given["idp"]},
            sign_response=True,
            sign_assertion=True,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
    )


if "answer" in given:
    print(json.dumps(answered(**given["answer"])))
else:
    print(json.dumps([judged(message) for message in given["messages"]]))
