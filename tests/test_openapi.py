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
NOT_REST = re.compile(r"/(ws|docs(/.*)?|static/.*)?")


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
        if path == "/api/openapi.json":  # the document would have to hold itself
            continue
        bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
        for content in (body.get("content", {}) for body in bodies):
            for kind, each in content.items():
                assert kind == "text/plain" or {"example", "examples"} & set(each), path


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


def test_what_needs_a_token_says_so(document):
    for _, path, operation in operations(document):
        credentials = path.rpartition("/")[2] in ("login", "refresh", "register")
        assert ("401" in operation["responses"] and not credentials) == (
            operation.get("security") == [{"bearer": []}, {"cookie": []}]
        ), path


async def test_the_application_serves_it_and_answers_as_it_says(settings, aiohttp_client):
    client = await aiohttp_client(create_app(settings))
    response = await client.get("/api/openapi.json")
    assert response.content_type == "application/json"
    document = await response.json()
    assert document == build_document(ROUTES, document["info"]["version"])

    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for body in (content.get("example"), {}):
            address = path.format(sku="none", code="conflict", id="none")
            answer = await client.request(method, address, json=body if content else None)
            described = operation["responses"][str(answer.status)]["content"][answer.content_type]
            if answer.content_type != "text/plain":
                conforms(document, described["schema"], await answer.json(content_type=None))
