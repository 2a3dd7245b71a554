"""The REST contract as a document, held against the routes that there are."""

from __future__ import annotations

import re

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from handlers.openapi import build_document
from handlers.routes import ROUTES
from realtime.errors import ERRORS
from server.app import create_app

# What a browser opens; no REST.
NOT_REST = re.compile(r"/(ws|docs(/.*)?|styleguide|unsubscribe|sw\.js|static/.*|\.well-known/.*)?")


@pytest.fixture(scope="module")
def document():
    return build_document(ROUTES, "1.2.3")


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def conforms(document, schema, value):
    """Hold `value` against a schema of the document. Raises when it doesn't fit."""
    whole = {**schema, "components": document["components"]}
    OAS31Validator(whole).validate(value)


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == "1.2.3"
    validate(document)


def test_routes_and_document_are_the_same(settings, document):
    """No address of the application is missing in the document, and none in it is made up."""
    served = set()
    for route in create_app(settings).router.routes():
        path = route.resource.canonical
        if route.method != "HEAD" and not NOT_REST.fullmatch(path):
            served.add((route.method, path))
    assert served == {(method, path) for method, path, _ in operations(document)}
    assert ("POST", "/api/v1/auth/register") in served
    assert ("GET", "/api/v1/catalog/products/{sku}") in served


def test_parameters_in_a_path_are_described(document):
    for _, path, operation in operations(document):
        described = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert described == set(re.findall(r"{(\w+)}", path)), path


def test_nothing_secret_is_asked_for_in_an_address(document):
    """Proxies log addresses, and browsers keep them."""
    asked = {
        parameter["name"]
        for _, _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["in"] in ("query", "path")
    }
    assert asked == {"q", "limit", "cursor", "category", "handle", "sku", "id", "code"} | {
        "delivery",
        "status",
        "type",
    }


def test_each_operation_has_a_name_of_its_own_a_summary_and_a_success(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert any(status.startswith("2") for status in operation["responses"]), path


def test_examples_are_what_the_schemas_say(document):
    seen = 0
    for _, _, operation in operations(document):
        bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
        for content in (each for body in bodies for each in body.get("content", {}).values()):
            examples = [value["value"] for value in content.get("examples", {}).values()]
            for example in [*examples, *([content["example"]] if "example" in content else [])]:
                conforms(document, content["schema"], example)
                seen += 1
    assert seen > 20


def test_each_body_and_each_json_answer_has_an_example(document):
    for _, path, operation in operations(document):
        bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
        for content in (body.get("content", {}) for body in bodies):
            for each in content.values():
                assert {"example", "examples"} & set(each), path


def test_errors_have_the_statuses_of_the_table(document):
    """A code under another status is one of the web framework's own refusals."""
    for _, path, operation in operations(document):
        assert "500" in operation["responses"], path
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/problem+json", {})
            for code, example in content.get("examples", {}).items():
                assert example["value"]["code"] == code
                expected = {str(ERRORS[code].http_status)} | (
                    {"408", "415"} if code == "bad_request" else set()
                )
                assert status in expected, path


def test_what_needs_somebody_signed_in_says_how(document):
    described = {operation["operationId"]: operation for _, _, operation in operations(document)}
    for route in ROUTES:
        if route.operation is None:
            continue
        operation = described[route.operation.id]
        if not route.authenticated:
            assert "security" not in operation
            continue
        with_cookie = {"cookie": []} if route.method == "GET" else {"cookie": [], "csrf": []}
        assert operation["security"] == [{"bearer": []}, with_cookie]
        assert {"401", "403"} <= set(operation["responses"])
        challenge = operation["responses"]["401"]["headers"]["WWW-Authenticate"]
        assert challenge["example"].startswith("Bearer ")
    for scheme in document["components"]["securitySchemes"].values():
        assert scheme["description"]


def test_each_parameter_has_an_example_that_fits(document):
    for _, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert "example" in parameter, (path, parameter["name"])
            conforms(document, parameter["schema"], parameter["example"])


def test_a_refused_field_in_an_example_is_one_of_the_operation(document):
    for _, path, operation in operations(document):
        refusal = operation["responses"].get("400")
        if refusal is None:
            continue
        (content,) = refusal["content"].values()
        named = set(content["examples"]["bad_request"]["value"]["errors"])
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        schema = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
        taken = {parameter["name"] for parameter in operation.get("parameters", ())}
        taken |= set(document["components"]["schemas"].get(schema, {}).get("properties", ()))
        assert named <= taken, path


def test_tags_are_described_and_in_order(document):
    described = [tag["name"] for tag in document["tags"]]
    assert all(tag["description"] for tag in document["tags"])
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    assert used == set(described)


def test_links_lead_from_what_is_answered_to_what_is_taken(document):
    by_id = {operation["operationId"]: operation for _, _, operation in operations(document)}
    seen = 0
    for operation in by_id.values():
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                target = by_id[link["operationId"]]
                (content,) = response["content"].values()
                for name, value in {
                    **link.get("parameters", {}),
                    **link.get("requestBody", {}),
                }.items():
                    taken = {each["name"] for each in target.get("parameters", ())}
                    body = target.get("requestBody", {}).get("content", {})
                    taken |= set(body.get("application/json", {}).get("example", ()))
                    assert name in taken
                    resolve(content["example"], value.removeprefix("$response.body#"))
                    seen += 1
    assert seen > 5


def resolve(document, pointer):
    """What a JSON pointer leads to. Raises when there is nothing."""
    for part in pointer.split("/")[1:]:
        document = document[int(part) if isinstance(document, list) else part]
    return document


async def test_the_application_serves_it_and_answers_as_it_says(settings, aiohttp_client):
    client = await aiohttp_client(create_app(settings))
    response = await client.get("/api/openapi.json")
    assert response.content_type == "application/json"
    document = await response.json()
    assert document == build_document(ROUTES, document["info"]["version"])

    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for body in (content.get("example"), {}):
            address = re.sub(r"{\w+}", "none", path.replace("{code}", "conflict"))
            answer = await client.request(method, address, json=body if content else None)
            described = operation["responses"][str(answer.status)]["content"][answer.content_type]
            if answer.content_type != "text/plain":
                conforms(document, described["schema"], await answer.json(content_type=None))
