//! The HTTP part as an OpenAPI 3.1 document.

use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use crate::{
    auth::oidc::Login,
    http::{
        Addresses, ChangePassword, ErrorBody, PublicSettings, RefreshBody, Sessions, SignIn, SignUp, Tokens,
        operations::Operation,
    },
};

/// What an operation takes and answers, beside what [`refusals`] adds to all.
struct Described {
    name: &'static str,
    summary: &'static str,
    tag: &'static str,
    /// Whether it takes an access token: never, always, or unless there is a body.
    bearer: Bearer,
    body: Option<Value>,
    /// Status, words, and schema of the body; the first is the success.
    answers: Vec<(u16, &'static str, Option<Value>)>,
    /// Refusals of its own: the statuses of [`refusal`].
    refusals: &'static [u16],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bearer {
    No,
    Yes,
    UnlessBody,
}

/// Of everything with a JSON body.
const OF_BODY: [u16; 4] = [400, 413, 415, 422];

/// The document.
#[must_use]
pub fn openapi() -> Value {
    let mut schemas = Schemas::new();
    let error = schemas.written::<ErrorBody>();
    let mut paths = Map::new();
    for operation in Operation::ALL {
        let described = describe(operation, &mut schemas);
        let path = paths.entry(operation.path()).or_insert_with(|| json!({}));
        path[operation.method()] = write(operation, described);
    }
    let responses: Map<String, Value> = [400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 426, 429, 500, 503]
        .map(|status| (name_of(status), refusal(status, &error)))
        .into_iter()
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The gateway's client port",
            "version": "1",
            "description": "Accounts and sessions, the page, and the ways in for WebSockets. The words to it are in protocol.md, the WebSocket's frames in asyncapi.yaml. \
                            A method that a path does not have is answered with 405 and `Allow`, a path that there is not with 404, both with the body of every refusal.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://localhost:8080", "description": "A gateway alone." }],
        "tags": [
            { "name": "accounts", "description": "Ways in." },
            { "name": "sessions", "description": "Sessions and their tokens." },
            { "name": "page", "description": "The page and what it needs." },
            { "name": "websocket", "description": "Ways in for WebSockets." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "responses": responses,
            "headers": {
                "RetryAfter": {
                    "description": "Seconds after which a repeat makes sense (RFC 9110, section 10.2.3).",
                    "schema": { "type": "integer", "minimum": 1 },
                },
            },
            "securitySchemes": {
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token of a session here, or of an issuer that the cluster trusts.",
                },
            },
        },
    })
}

fn describe(operation: Operation, schemas: &mut Schemas) -> Described {
    use Bearer::{No, UnlessBody, Yes};
    let entry = |name, summary, bearer, tag| Described {
        name,
        summary,
        tag,
        bearer,
        body: None,
        answers: Vec::new(),
        refusals: &[],
    };
    match operation {
        Operation::SignUp => Described {
            body: Some(schemas.read::<SignUp>()),
            answers: vec![(201, "The account, signed in.", Some(schemas.written::<Tokens>()))],
            refusals: &[403, 409],
            ..entry("signUp", "Makes an account and begins a session.", No, "accounts")
        },
        Operation::SignIn => Described {
            body: Some(schemas.read::<SignIn>()),
            answers: vec![(200, "Signed in.", Some(schemas.written::<Tokens>()))],
            refusals: &[401, 403],
            ..entry("signIn", "Begins a session with a password.", No, "accounts")
        },
        Operation::SignInOidc => Described {
            body: Some(schemas.read::<Login>()),
            answers: vec![(200, "Signed in.", Some(schemas.written::<Tokens>()))],
            refusals: &[401],
            ..entry("signInWithCode", "Begins a session with what an issuer's sign-in came back with.", No, "accounts")
        },
        Operation::ChangePassword => Described {
            body: Some(schemas.read::<ChangePassword>()),
            answers: vec![(204, "Changed; all other sessions have ended.", None)],
            refusals: &[403, 409],
            ..entry("changePassword", "Changes the password.", Yes, "accounts")
        },
        Operation::Refresh => Described {
            body: Some(schemas.read::<RefreshBody>()),
            answers: vec![(200, "The next tokens of the same session.", Some(schemas.written::<Tokens>()))],
            refusals: &[401],
            ..entry("refresh", "Exchanges a refresh token, which is good once.", No, "sessions")
        },
        Operation::SignOut => Described {
            body: Some(schemas.read::<RefreshBody>()),
            answers: vec![(204, "The session has ended.", None)],
            refusals: &[403],
            ..entry(
                "signOut",
                "Ends the session of the refresh token in the body, or without a body of the access token.",
                UnlessBody,
                "sessions",
            )
        },
        Operation::SignOutEverywhere => Described {
            answers: vec![(204, "All sessions of the user have ended.", None)],
            ..entry("signOutEverywhere", "Ends all sessions of the user.", Yes, "sessions")
        },
        Operation::ListSessions => Described {
            answers: vec![(200, "The sessions.", Some(schemas.written::<Sessions>()))],
            ..entry("listSessions", "Lists the sessions of the user.", Yes, "sessions")
        },
        Operation::EndSession => Described {
            answers: vec![(204, "That session has ended.", None)],
            refusals: &[400, 404],
            ..entry("endSession", "Ends one of the sessions of the user.", Yes, "sessions")
        },
        Operation::Config => Described {
            answers: vec![(200, "The ways in, and the limits.", Some(schemas.written::<PublicSettings>()))],
            ..entry("config", "Tells what a client needs to know before it signs in.", No, "page")
        },
        Operation::Connect => Described {
            answers: vec![(
                200,
                "The gateways that have room, the best first, and where this request came in.",
                Some(schemas.written::<Addresses>()),
            )],
            refusals: &[400],
            ..entry("connect", "Tells a client that can choose where to connect, just before it does.", No, "websocket")
        },
        Operation::WebSocket => Described {
            answers: vec![(101, "A WebSocket of `chat.v1` or `chat.v1.cbor`, see asyncapi.yaml.", None)],
            refusals: &[426, 429],
            ..entry("webSocket", "Becomes a WebSocket of this gateway's own protocol.", No, "websocket")
        },
        Operation::Centrifuge => Described {
            answers: vec![(101, "A WebSocket of the Centrifuge client protocol.", None)],
            refusals: &[426, 429],
            ..entry("centrifuge", "Becomes a WebSocket for clients of Centrifuge, see centrifuge.md.", No, "websocket")
        },
        Operation::Page => Described {
            answers: vec![(200, "The page.", None), (304, "As the client has it.", None)],
            ..entry("page", "The page.", No, "page")
        },
        Operation::PageFile => Described {
            answers: vec![(200, "The file.", None), (304, "As the client has it.", None)],
            refusals: &[400, 404],
            ..entry("pageFile", "A file of the page.", No, "page")
        },
    }
}

fn write(operation: Operation, described: Described) -> Value {
    let Described { name, summary, tag, bearer, body, answers, refusals } = described;
    let mut responses = Map::new();
    for (status, words, schema) in answers {
        let mut answer = json!({ "description": words });
        if let Some(schema) = schema {
            answer["content"] = json!({ "application/json": { "schema": schema } });
        }
        if tag == "page" && operation != Operation::Config {
            answer["headers"] = json!({
                "ETag": { "description": "For `If-None-Match`.", "schema": { "type": "string" } },
                "Cache-Control": { "schema": { "type": "string", "const": "no-cache" } },
            });
            if status == 200 {
                answer["content"] = match operation {
                    Operation::Page => json!({ "text/html": {} }),
                    _ => json!({ "text/html": {}, "text/css": {}, "text/javascript": {}, "image/svg+xml": {} }),
                };
            }
        }
        responses.insert(status.to_string(), answer);
    }
    let of_body: &[u16] = if body.is_some() { &OF_BODY } else { &[] };
    let of_token: &[u16] = if bearer == Bearer::No { &[] } else { &[401] };
    // Whoever asks often is told to wait, but for what costs nothing; any part that is needed may be away.
    let of_all: &[u16] = if tag == "page" { &[] } else { &[408, 429, 500, 503] };
    for status in refusals.iter().chain(of_body).chain(of_token).chain(of_all) {
        let reference = json!({ "$ref": format!("#/components/responses/{}", name_of(*status)) });
        responses.insert(status.to_string(), reference);
    }
    let mut written = json!({ "operationId": name, "summary": summary, "tags": [tag], "responses": responses });
    if let Some(schema) = body {
        written["requestBody"] = json!({ "required": bearer != Bearer::UnlessBody, "content": { "application/json": { "schema": schema } } });
    }
    match bearer {
        Bearer::No => written["security"] = json!([]),
        Bearer::Yes => written["security"] = json!([{ "accessToken": [] }]),
        Bearer::UnlessBody => written["security"] = json!([{}, { "accessToken": [] }]),
    }
    match operation {
        Operation::EndSession => {
            written["parameters"] = json!([{
                "name": "id",
                "in": "path",
                "required": true,
                "description": "Id of the session.",
                "schema": { "type": "string", "format": "uuid" },
            }]);
        }
        Operation::PageFile => {
            written["parameters"] = json!([{
                "name": "file", "in": "path", "required": true, "description": "Name of the file.",
                "schema": { "type": "string", "examples": ["index.js"] }, "example": "index.js",
            }]);
        }
        _ => {}
    }
    written
}

/// The component of a refusal.
fn name_of(status: u16) -> String {
    let name = match status {
        400 => "BadRequest",
        401 => "Unauthenticated",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        408 => "TooSlow",
        409 => "Conflict",
        413 => "TooLarge",
        415 => "WrongMediaType",
        422 => "WrongFields",
        426 => "NoUpgrade",
        429 => "RateLimited",
        500 => "Internal",
        _ => "Unavailable",
    };
    name.to_owned()
}

fn refusal(status: u16, error: &Value) -> Value {
    let words = match status {
        400 => "The body is no JSON (`bad_json`), or a field has a value that it cannot have (`bad_request`).",
        401 => "The credentials are not good (`unauthenticated`), or were once (`token_expired`).",
        403 => "It is not allowed here, or the old password is wrong (`forbidden`).",
        404 => "There is no such thing (`not_found`).",
        405 => "This path does not take that method (`bad_request`); `Allow` says which it takes.",
        408 => "The request did not arrive or was not done within 30 seconds (`bad_request`).",
        409 => "The name is taken, or something changed at the same moment (`conflict`).",
        413 => "The body is over 16 KiB (`too_large`).",
        415 => "The body is not declared as `application/json` (`bad_json`).",
        422 => "A field is missing or has another type (`bad_request`).",
        426 => "It is no WebSocket handshake (`bad_request`).",
        429 => "Too many attempts (`rate_limited`).",
        500 => "A defect (`internal`).",
        _ => {
            "The hash pool is full (`busy`), something that is needed is away, or the gateway takes no more connections (`unavailable`)."
        }
    };
    let mut answer = json!({ "description": words, "content": { "application/json": { "schema": error } } });
    if matches!(status, 429 | 503) {
        let header = json!({ "$ref": "#/components/headers/RetryAfter" });
        answer["headers"] = json!({ "Retry-After": header });
    }
    if status == 405 {
        answer["headers"] =
            json!({ "Allow": { "description": "The methods of the path.", "schema": { "type": "string" } } });
    }
    if status == 426 {
        answer["headers"] = json!({
            "Upgrade": { "schema": { "type": "string", "const": "websocket" } },
            "Sec-WebSocket-Version": { "schema": { "type": "string", "const": "13" } },
        });
    }
    answer
}
