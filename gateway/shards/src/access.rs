//! The gateways' role: EXECUTE on the functions, nothing on the tables.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::scram;

/// The role that gateways sign in with. It has no table privilege, so a write that forgets the guard is impossible.
pub const GATEWAY_ROLE: &str = "chat_gateway";

/// A member of [`GATEWAY_ROLE`] that takes turns with it where passwords are replaced while gateways run: PostgreSQL knows one password of a role.
pub const SECOND_ROLE: &str = "chat_gateway2";

const TURNS: [&str; 2] = [GATEWAY_ROLE, SECOND_ROLE];

/// How gateways sign in to a shard.
#[derive(Clone)]
pub struct Login {
    /// User of the gateways' URI.
    pub user: String,
    /// Its password, if the URI has one.
    pub password: Option<String>,
}

/// Why the role could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The role is missing and the migrating role may not make it.
    #[error(
        "role {GATEWAY_ROLE} does not exist and {by} may not create it; create it, or migrate as a role with CREATEROLE"
    )]
    MayNotCreate {
        /// The migrating role.
        by: String,
    },
    /// No randomness for a salt.
    #[error("failed to make a password verifier: the system has no randomness")]
    NoRandomness,
    /// Any other failure.
    #[error("failed to set up role {GATEWAY_ROLE}")]
    Sql(#[from] sqlx::Error),
}

/// Makes [`GATEWAY_ROLE`], and gives it EXECUTE on every function whose name does not begin with an underscore. Of the logins, that role and
/// [`SECOND_ROLE`] get their passwords, if they have one, and any other one becomes a member. Where gateways come by one of the two alone, the other one is
/// let in no more; who is connected as it stays. Idempotent.
///
/// # Errors
/// A missing right of the migrating role, or the database's error.
pub async fn grant_access(connection: &mut PgConnection, logins: &[Login]) -> Result<(), AccessError> {
    let (me, may_create): (String, bool) = sqlx::query_as(
        "select current_user::text, (select rolcreaterole or rolsuper from pg_roles where rolname = current_user)",
    )
    .fetch_one(&mut *connection)
    .await?;
    if logins.iter().any(|login| login.user == me) {
        // One role for everything: the user's choice with a plain URI Secret. It owns the functions already.
        return Ok(());
    }
    if !exists(connection, GATEWAY_ROLE).await? {
        if !may_create {
            return Err(AccessError::MayNotCreate { by: me });
        }
        sqlx::raw_sql("create role chat_gateway").execute(&mut *connection).await?;
    }
    for login in logins {
        if login.user == SECOND_ROLE && may_create && !exists(connection, SECOND_ROLE).await? {
            sqlx::raw_sql("create role chat_gateway2").execute(&mut *connection).await?;
        }
        if login.user != GATEWAY_ROLE {
            execute_format(connection, "grant chat_gateway to %1$I", &[&login.user]).await?;
        }
        if may_create && TURNS.contains(&login.user.as_str()) {
            let_in(connection, login).await?;
        }
    }
    let is_named = |role: &str| logins.iter().any(|login| login.user == role);
    for [role, other] in [TURNS, [SECOND_ROLE, GATEWAY_ROLE]] {
        if may_create && is_named(other) && !is_named(role) && exists(connection, role).await? {
            execute_format(connection, "alter role %1$I nologin password null", &[role]).await?;
        }
    }
    sqlx::raw_sql(GRANTS).execute(connection).await?;
    Ok(())
}

async fn exists(connection: &mut PgConnection, role: &str) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)");
    asked.bind(role).fetch_one(connection).await
}

async fn let_in(connection: &mut PgConnection, login: &Login) -> Result<(), AccessError> {
    execute_format(connection, "alter role %1$I login", &[&login.user]).await?;
    set_password(connection, login).await
}

/// Gives the login's role its password, if it has one: who shows a certificate needs none. Whoever is connected as it stays.
///
/// # Errors
/// The system has no randomness for a salt, or the database's: a role may change its own, and that of others with rights of its own.
pub async fn set_password(connection: &mut PgConnection, login: &Login) -> Result<(), AccessError> {
    let Some(password) = &login.password else { return Ok(()) };
    let verifier = scram::verifier(password).ok_or(AccessError::NoRandomness)?;
    execute_format(connection, "alter role %1$I password %2$L", &[&login.user, &verifier]).await?;
    Ok(())
}

/// Lets the server quote values into a statement that takes no parameters, and executes it.
async fn execute_format(connection: &mut PgConnection, template: &str, values: &[&str]) -> Result<(), sqlx::Error> {
    let statement: String = sqlx::query_scalar("select format($1, variadic $2::text[])")
        .bind(template)
        .bind(values)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

const GRANTS: &str = r"
revoke all on all tables in schema chat from public, chat_gateway;
revoke all on all functions in schema chat from public, chat_gateway;
revoke all on schema chat from public;
grant usage on schema chat to chat_gateway;
do $$
declare f regprocedure;
begin
    for f in select p.oid from pg_proc p where p.pronamespace = 'chat'::regnamespace and p.proname not like '\_%' loop
        execute format('grant execute on function %s to chat_gateway', f);
    end loop;
end $$;
";
