"""
A wallet and an issuer in another language and on other libraries: openvc for certificates, SD-JWT, VC-JWT, VP-JWT and status lists, PyJWT for the request,
jwcrypto for the encryption of the answer. Takes the orders of wallet.mjs, and one more format: jwt_vc_json.
"""

import base64
import hashlib
import json
import os
import secrets
import ssl
import sys
import time
import urllib.parse
import urllib.request

import jwt
from cryptography import x509
from jwcrypto import jwe, jwk
from openvc.keys import P256SigningKey
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from openvc.proof.vc_jwt import VcJwtProofSuite
from openvc.proof.vp_jwt import VpJwtProofSuite
from openvc.rp_cert import verify_rp_access_certificate
from openvc.status.bitstring import new_bitstring, set_status_bit
from openvc.status.issue import build_status_list_credential, build_status_list_entry, build_status_list_token
from openvc.status.token_status_list import new_status_list, set_status

WEB = urllib.request.build_opener(
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]))
)


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public(key):
    return {name: key[name] for name in ("kty", "crv", "x", "y")}


def did_of(key):
    return "did:jwk:" + unpadded(json.dumps(public(key), separators=(",", ":")).encode())


def signing(key):
    return P256SigningKey.from_jwk(key, did_of(key) + "#0")


def issue(order):
    holder, more, claims = order["holder"], order["more"], order["claims"]
    if order.get("format") == "jwt_vc_json":
        credential = {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiableCredential", order["vct"]],
            "issuer": did_of(order["key"]),
            "credentialSubject": {"id": did_of(holder), **claims},
            "credentialStatus": build_status_list_entry(status_list_credential=more["list"], index=more["idx"]),
        }
        return {"credential": VcJwtProofSuite().sign(credential, signing_key=signing(order["key"]), expires_in_s=3600)}
    return {
        "credential": SdJwtVcProofSuite().issue(
            {**more, **claims},
            signing_key=signing(order["key"]),
            disclosable=list(claims),
            holder_jwk=public(holder),
            vct=order["vct"],
            decoys=3,
            x5c=order["x5c"],
        )
    }


def status_list(order):
    if order.get("format") == "jwt_vc_json":
        bits = new_bitstring(131072)
        for at, value in enumerate(order["statuses"]):
            set_status_bit(bits, at, bool(value))
        credential = build_status_list_credential(id=order["uri"], issuer=did_of(order["key"]), bitstring=bits)
        return {"list": VcJwtProofSuite().sign(credential, signing_key=signing(order["key"]), expires_in_s=3600)}
    values = new_status_list(len(order["statuses"]))
    for at, value in enumerate(order["statuses"]):
        set_status(values, at, value)
    token = build_status_list_token(signing_key=signing(order["key"]), uri=order["uri"], status_list=values, ttl=1)
    # openvc names a list's key by `iss` alone: the certificate is put in, and what is then there is signed again.
    payload = jwt.decode(token, options={"verify_signature": False})
    key = jwt.algorithms.ECAlgorithm.from_jwk(json.dumps(order["key"]))
    header = {"typ": "statuslist+jwt", "x5c": order["x5c"]}
    return {"list": jwt.encode(payload, key, algorithm="ES256", headers=header)}


def checked(text, client_id, authority, nonce):
    """What HAIP has a wallet ask of a request: the signature, the chain, and that the client id is the certificate's digest."""
    chain = jwt.get_unverified_header(text)["x5c"]
    verify_rp_access_certificate(chain[0], trust_anchors=[authority.encode()], intermediates=chain[1:])
    der = base64.b64decode(chain[0])
    key = x509.load_der_x509_certificate(der).public_key()
    assert jwt.get_unverified_header(text)["typ"] == "oauth-authz-req+jwt"
    request = jwt.decode(text, key, algorithms=["ES256"], audience="https://self-issued.me/v2")
    assert client_id == request["client_id"] == "x509_hash:" + unpadded(hashlib.sha256(der).digest()), "client_id"
    assert request.get("wallet_nonce") == nonce, "wallet_nonce"
    return request


def post(url, fields):
    body = urllib.parse.urlencode(fields).encode()
    try:
        with WEB.open(url, body) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def fetched(link):
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query))
    if query.get("request_uri_method") == "post":
        nonce = secrets.token_urlsafe(16)
        return query["client_id"], nonce, post(query["request_uri"], {"wallet_nonce": nonce})[1].decode()
    with WEB.open(query["request_uri"]) as answer:
        return query["client_id"], None, answer.read().decode()


def key_id(text):
    """The AuthorityKeyIdentifier of a certificate, as `trusted_authorities` compares it."""
    extensions = x509.load_der_x509_certificate(base64.b64decode(text)).extensions
    return unpadded(extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier)


def disclosed(text, wanted):
    """The credential with the disclosures of these claims alone."""
    issued, *parts = text.split("~")[:-1]
    kept = [part for part in parts if json.loads(decoded(part))[1] in wanted]
    return "~".join([issued, *kept, ""])


def is_asked(claims, query):
    def holds(claim):
        value = claims
        for step in claim["path"]:
            value = value.get(step) if isinstance(value, dict) else None
        return value is not None and ("values" not in claim or value in claim["values"])

    return all(holds(claim) for claim in query.get("claims", []))


def fits(text, query):
    """Whether a stored credential answers a query (OpenID4VP 1.0, 6)."""
    issued = text.split("~")[0]
    payload = jwt.decode(issued, options={"verify_signature": False})
    authorities = [
        value for each in query.get("trusted_authorities", []) if each["type"] == "aki" for value in each["values"]
    ]
    chain = jwt.get_unverified_header(issued).get("x5c", [])
    if authorities and not any(key_id(one) in authorities for one in chain):
        return False
    if "~" in text:
        parts = [json.loads(decoded(part)) for part in text.split("~")[1:-1]]
        claims = {**payload, **{part[1]: part[2] for part in parts}}
        return query["format"] == "dc+sd-jwt" and payload["vct"] in query["meta"]["vct_values"] and is_asked(claims, query)
    types = payload["vc"]["type"]
    kinds = query["meta"].get("type_values", [])
    return query["format"] == "jwt_vc_json" and any(set(kind) <= set(types) for kind in kinds) and is_asked(payload["vc"], query)


def shown(text, query, request, holder):
    bound = {"holder_key": signing(holder), "audience": request["client_id"], "nonce": request["nonce"]}
    if "~" not in text:
        return VpJwtProofSuite().sign([text], holder=did_of(holder), **bound)
    wanted = {claim["path"][0] for claim in query.get("claims", [])}
    return SdJwtVcProofSuite().create_presentation(disclosed(text, wanted), **bound)


def encrypted(payload, request, encs):
    metadata = request["client_metadata"]
    key = metadata["jwks"]["keys"][0]
    enc = next(each for each in encs if each in metadata["encrypted_response_enc_values_supported"])
    header = {"alg": "ECDH-ES", "enc": enc, "kid": key["kid"]}
    token = jwe.JWE(json.dumps(payload).encode(), protected=json.dumps(header), recipient=jwk.JWK(**key))
    return token.serialize(compact=True), {"alg": "ECDH-ES", "enc": enc}


def present(order):
    client_id, nonce, text = fetched(order["link"])
    request = checked(text, client_id, order["authority"], nonce)
    token = {}
    for query in request["dcql_query"]["credentials"]:
        found = next((each for each in order["credentials"] if fits(each, query)), None)
        if found is not None:
            token[query["id"]] = [shown(found, query, request, order["holder"])]
    if not token:
        return {"unanswered": "no credential fits", "request": request}
    payload = {"vp_token": token, "state": request["state"]}
    response, how = encrypted(payload, request, order.get("encs", ["A256GCM", "A128GCM"]))
    status, body = post(request["response_uri"], {"response": response})
    said = {"status": status, "body": json.loads(body)}
    return {"request": request, "client": client_id.split(":")[0], "encrypted": [how], "said": said, "vpToken": token}


ORDERS = {"issue": issue, "present": present, "statusList": status_list}
given = json.load(sys.stdin)
json.dump(ORDERS[given["do"]](given), sys.stdout)
