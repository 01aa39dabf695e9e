//! What the client port serves, as a list: the router serves each operation, and `docs/reference/openapi.yaml` describes each.

/// One method of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Makes an account.
    SignUp,
    /// Begins a session with a password.
    SignIn,
    /// Begins a session with an authorization code of an issuer.
    SignInOidc,
    /// Changes the password.
    ChangePassword,
    /// Exchanges a refresh token.
    Refresh,
    /// Ends a session.
    SignOut,
    /// Ends all sessions of a user.
    SignOutEverywhere,
    /// Lists the sessions of a user.
    ListSessions,
    /// Ends one of the sessions of a user.
    EndSession,
    /// Tells the ways in.
    Config,
    /// Tells where to connect.
    Connect,
    /// Becomes a WebSocket of `chat.v1`.
    WebSocket,
    /// Becomes a WebSocket of the Centrifuge door.
    Centrifuge,
    /// The page.
    Page,
    /// A file of the page.
    PageFile,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::SignUp,
        Self::SignIn,
        Self::SignInOidc,
        Self::ChangePassword,
        Self::Refresh,
        Self::SignOut,
        Self::SignOutEverywhere,
        Self::ListSessions,
        Self::EndSession,
        Self::Config,
        Self::Connect,
        Self::WebSocket,
        Self::Centrifuge,
        Self::Page,
        Self::PageFile,
    ];

    /// Its path; `{name}` stands for one part.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::SignUp => "/v1/sign-up",
            Self::SignIn => "/v1/sign-in",
            Self::SignInOidc => "/v1/sign-in/oidc",
            Self::ChangePassword => "/v1/password",
            Self::Refresh => "/v1/refresh",
            Self::SignOut => "/v1/sign-out",
            Self::SignOutEverywhere => "/v1/sign-out-everywhere",
            Self::ListSessions => "/v1/sessions",
            Self::EndSession => "/v1/sessions/{id}",
            Self::Config => "/v1/config",
            Self::Connect => "/v1/connect",
            Self::WebSocket => "/v1/ws",
            Self::Centrifuge => "/connection/websocket",
            Self::Page => "/",
            Self::PageFile => "/{file}",
        }
    }

    /// Its method, in lower case.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::EndSession => "delete",
            Self::ListSessions
            | Self::Config
            | Self::Connect
            | Self::WebSocket
            | Self::Centrifuge
            | Self::Page
            | Self::PageFile => "get",
            Self::SignUp
            | Self::SignIn
            | Self::SignInOidc
            | Self::ChangePassword
            | Self::Refresh
            | Self::SignOut
            | Self::SignOutEverywhere => "post",
        }
    }
}
