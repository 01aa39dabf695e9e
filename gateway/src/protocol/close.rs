//! Close codes.

/// Why the gateway closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The client said goodbye.
    Normal,
    /// A binary frame came.
    Binary,
    /// A frame over [`super::limits::FRAME_BYTES`] came.
    TooLarge,
    /// This gateway stops.
    Stopping,
    /// Too many frames in a row that are no JSON.
    NotJson,
    /// The token is missing, invalid or expired.
    Unauthenticated,
    /// The token ended while the connection was open.
    Expired,
    /// No `hello` in time, or no sign of life.
    Silent,
    /// The session that the token belongs to was ended.
    SessionEnded,
    /// Far over the message rate.
    Flooding,
    /// The send queue was full.
    TooSlow,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Binary => 1003,
            Self::TooLarge => 1009,
            Self::Stopping => 1012,
            Self::NotJson => 4400,
            Self::Unauthenticated | Self::Expired => 4401,
            Self::Silent => 4408,
            Self::SessionEnded => 4410,
            Self::Flooding => 4429,
            Self::TooSlow => 4503,
        }
    }

    /// The number as text, for metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "1000",
            Self::Binary => "1003",
            Self::TooLarge => "1009",
            Self::Stopping => "1012",
            Self::NotJson => "4400",
            Self::Unauthenticated | Self::Expired => "4401",
            Self::Silent => "4408",
            Self::SessionEnded => "4410",
            Self::Flooding => "4429",
            Self::TooSlow => "4503",
        }
    }

    /// One sentence for a person reading a trace.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Binary => "only text frames are understood",
            Self::TooLarge => "a frame has at most 64 KiB",
            Self::Stopping => "this gateway stops; connect again",
            Self::NotJson => "the frames are no JSON",
            Self::Unauthenticated | Self::Expired => "sign in again",
            Self::Silent => "no sign of life",
            Self::SessionEnded => "this session was ended; sign in again",
            Self::Flooding => "far over the message rate",
            Self::TooSlow => "the connection does not take what it is sent",
        }
    }
}
