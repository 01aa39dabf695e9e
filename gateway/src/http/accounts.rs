//! Ways in: sign-up and sign-in with a password, and a change of it.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode},
};
use chat_gateway_config::Passwords;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    ApiError, ClientAddress, Http,
    limits::Limits,
    sessions::{self, Tokens},
};
use crate::{
    audit::{self, Act, By, Outcome, Record},
    auth::{
        Claims,
        names::{PASSWORD_BYTES, check_password, display_name, fold_name, user_id},
    },
    model::{User, UserId},
    protocol::ErrorCode,
    store::{NewUser, sessions::NewPassword},
};

/// A new account.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SignUp {
    /// Sign-in name, for ever. Upper case is folded.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,31}$"))]
    name: String,
    /// At least 8 characters, at most 256 bytes of UTF-8.
    #[schemars(length(min = 8, max = 256))]
    password: String,
    /// Name to show; the sign-in name when absent or empty. No control characters.
    #[schemars(length(max = 64), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"))]
    display_name: Option<String>,
}

/// A name and its password.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SignIn {
    /// Sign-in name.
    name: String,
    /// Its password.
    password: String,
}

/// The old password and the new one.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ChangePassword {
    /// As it is.
    old_password: String,
    /// As it shall be: at least 8 characters, at most 256 bytes of UTF-8.
    #[schemars(length(min = 8, max = 256))]
    new_password: String,
}

type Body<T> = Result<Json<T>, JsonRejection>;

pub(super) async fn sign_up(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Body<SignUp>,
) -> Result<(StatusCode, Json<Tokens>), ApiError> {
    let Json(request) = body?;
    passwords_enabled(&http)?;
    let name = fold_name(&request.name)?;
    let shown = display_name(request.display_name.as_deref(), &name)?;
    check_password(&request.password)?;
    Limits(&http).sign_in("sign-up", address, &name).await?;
    let password_hash = http.passwords.hash(request.password).await?;
    let user = User { id: user_id(&name), name, display_name: shown };
    let user = http.services.store.create_user(NewUser { user, password_hash }).await?;
    Ok((StatusCode::CREATED, Json(sessions::begin(&http, user, &headers).await?)))
}

pub(super) async fn sign_in(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Body<SignIn>,
) -> Result<Json<Tokens>, ApiError> {
    let Json(request) = body?;
    let mut account = None;
    match prove(&http, address, request, &mut account).await {
        Ok(user) => Ok(Json(sessions::begin(&http, user, &headers).await?)),
        Err(error) => {
            // Whose account it is goes into the audit log only where there is one: people type passwords into fields for names.
            let record = Record { user: account, ..Record::new(Act::SignIn, By::Unknown, Some(address.0)) };
            record.write(audit::refusal(error.code()));
            Err(error)
        }
    }
}

/// Whose name and password these are. `account` is whose it would have been, as soon as that is known.
async fn prove(
    http: &Http,
    address: ClientAddress,
    request: SignIn,
    account: &mut Option<UserId>,
) -> Result<User, ApiError> {
    passwords_enabled(http)?;
    let refused =
        || ApiError::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthenticated, "the name or the password is wrong");
    // A name or password that could never have been set is refused like a wrong one: the answer tells nothing about accounts.
    let name = fold_name(&request.name).map_err(|_| refused())?;
    if request.password.len() > PASSWORD_BYTES {
        return Err(refused());
    }
    Limits(http).sign_in("sign-in", address, &name).await?;
    let (user, stored) = http.services.store.credentials(user_id(&name)).await?.unzip();
    *account = user.as_ref().map(|user: &User| user.id);
    let fits = http.passwords.verify(request.password, stored).await?;
    user.filter(|_| fits).ok_or_else(refused)
}

/// Changes the password and ends all other sessions. Guesses at the old one count as guesses at a sign-in.
pub(super) async fn change_password(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Body<ChangePassword>,
) -> Result<StatusCode, ApiError> {
    let claims = sessions::authenticate(&http, address, &headers).await?;
    let Json(request) = body?;
    passwords_enabled(&http)?;
    check_password(&request.new_password).map_err(|invalid| ApiError::from(invalid).field("new_password"))?;
    let changed = change(&http, address, &claims, request).await;
    let outcome = changed.as_ref().map_or_else(|error| audit::refusal(error.code()), |()| Outcome::Done);
    Record::new(Act::ChangePassword, By::User(claims.user.id), Some(address.0)).write(outcome);
    changed?;
    http.hub.sessions_ended(claims.user.id).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn change(http: &Http, address: ClientAddress, claims: &Claims, request: ChangePassword) -> Result<(), ApiError> {
    Limits(http).sign_in("sign-in", address, &claims.user.name).await?;
    let user = claims.user.id;
    let (_, old_hash) =
        http.services.store.credentials(user).await?.filter(|(_, hash)| !hash.is_empty()).ok_or_else(|| {
            ApiError::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Forbidden,
                "this account has no password here; change it where you sign in",
            )
        })?;
    let too_long = request.old_password.len() > PASSWORD_BYTES;
    if too_long || !http.passwords.verify(request.old_password, Some(old_hash.clone())).await? {
        // Not 401: the token is good, and another one would not help.
        return Err(ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, "the old password is wrong")
            .field("old_password"));
    }
    let new_hash = http.passwords.hash(request.new_password).await?;
    let new = NewPassword { user, old_hash, new_hash, keep: claims.session };
    if !http.services.store.change_password(new).await? {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            ErrorCode::Conflict,
            "the password was changed elsewhere at this moment",
        ));
    }
    Ok(())
}

fn passwords_enabled(http: &Http) -> Result<(), ApiError> {
    match http.services.config.get().auth.passwords {
        Passwords::Enabled => Ok(()),
        Passwords::Disabled => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            ErrorCode::Forbidden,
            "sign-in with a password is turned off here; use a token from your own sign-in",
        )),
    }
}
