//! The gateways' role: EXECUTE on the functions, nothing on the tables.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::scram;

/// The role that gateways sign in with. It has no table privilege, so a write that forgets the guard is impossible.
pub const GATEWAY_ROLE: &str = "chat_gateway";

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

/// Makes [`GATEWAY_ROLE`] with the login's password, if it has one, when the login is that role, makes another login a member of it, and
/// gives it EXECUTE on every function whose name does not begin with an underscore. Idempotent.
///
/// # Errors
/// A missing right of the migrating role, or the database's error.
pub async fn grant_access(connection: &mut PgConnection, login: &Login) -> Result<(), AccessError> {
    let (me, may_create, exists): (String, bool, bool) = sqlx::query_as(
        "select current_user::text, (select rolcreaterole or rolsuper from pg_roles where rolname = current_user), \
         exists (select from pg_roles where rolname = $1)",
    )
    .bind(GATEWAY_ROLE)
    .fetch_one(&mut *connection)
    .await?;
    if login.user == me {
        // One role for everything: the user's choice with a plain URI Secret. It owns the functions already.
        return Ok(());
    }
    if !exists {
        if !may_create {
            return Err(AccessError::MayNotCreate { by: me });
        }
        sqlx::raw_sql("create role chat_gateway").execute(&mut *connection).await?;
    }
    if login.user == GATEWAY_ROLE {
        if may_create && let Some(password) = &login.password {
            let verifier = scram::verifier(password).ok_or(AccessError::NoRandomness)?;
            execute_format(connection, "alter role chat_gateway login password %1$L", &verifier).await?;
        } else if may_create {
            // Who shows a certificate needs no password.
            sqlx::raw_sql("alter role chat_gateway login").execute(&mut *connection).await?;
        }
    } else {
        execute_format(connection, "grant chat_gateway to %1$I", &login.user).await?;
    }
    sqlx::raw_sql(GRANTS).execute(connection).await?;
    Ok(())
}

/// Lets the server quote `value` into a statement that takes no parameters, and executes it.
async fn execute_format(connection: &mut PgConnection, template: &str, value: &str) -> Result<(), sqlx::Error> {
    let statement: String =
        sqlx::query_scalar("select format($1, $2)").bind(template).bind(value).fetch_one(&mut *connection).await?;
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
