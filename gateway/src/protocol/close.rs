//! Close codes.

/// Why the gateway closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The client said goodbye.
    Normal,
    /// A binary frame came where text frames are spoken, or the other way round.
    FrameKind,
    /// A frame over [`super::limits::FRAME_BYTES`] came.
    TooLarge,
    /// This gateway stops.
    Stopping,
    /// Too many frames in a row that are no JSON object, or no CBOR map.
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
    /// All reasons that a client is told, in the order of the page; some share a number.
    pub const ALL: [Self; 10] = [
        Self::FrameKind,
        Self::TooLarge,
        Self::Stopping,
        Self::NotJson,
        Self::Unauthenticated,
        Self::Expired,
        Self::Silent,
        Self::SessionEnded,
        Self::Flooding,
        Self::TooSlow,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::FrameKind => 1003,
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
            Self::FrameKind => "1003",
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

    /// What a client is to do before it connects again.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Normal => "nothing",
            Self::FrameKind | Self::TooLarge | Self::NotJson => "fix the client",
            Self::Stopping | Self::Silent | Self::TooSlow => "connect again, with resume",
            Self::Unauthenticated | Self::Expired => "refresh or sign in, then connect with resume",
            Self::SessionEnded => "sign in anew; the session is of no use any more",
            Self::Flooding => "connect again after 5 s or more, with resume",
        }
    }

    /// One sentence for a person reading a trace.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::FrameKind => "this sub-protocol has frames of the other kind, text or binary",
            Self::TooLarge => "a frame has at most 64 KiB",
            Self::Stopping => "this gateway stops; connect again",
            Self::NotJson => "the frames cannot be read",
            Self::Unauthenticated | Self::Expired => "sign in again",
            Self::Silent => "no sign of life",
            Self::SessionEnded => "this session was ended; sign in again",
            Self::Flooding => "far over the message rate",
            Self::TooSlow => "the connection does not take what it is sent",
        }
    }
}
