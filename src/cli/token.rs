//! Tokens on the command line.

use hub_registry_core::TenantId;
use serde_json::{Value, json};

use crate::access::{NewToken, Tenants, Tokens};
use crate::clock::rfc3339;
use crate::config::{TokenArgs, TokenCommand};
use crate::error::{Error, Result};

/// Who changes a table from the command line.
const WHO: &str = "command line";

/// Does what was asked for. A new token is all there is on the standard output, so that a script
/// can take it.
///
/// # Errors
/// A token that breaks a rule, or is not there; a database that is away.
pub async fn run(tokens: &Tokens, command: TokenCommand) -> Result<()> {
    match command {
        TokenCommand::Create(args) => {
            let tenant = TenantId::default_tenant();
            let new = NewToken::from_value(body(args), &tenant)?;
            let (token, row) = tokens.create(&new, WHO).await?;
            println!("{}", token.reveal());
            eprintln!(
                "token {} of {}: role {}, tenant {}. It is not shown again.",
                row.token_id, row.user_id, row.role, row.tenant_id
            );
        }
        TokenCommand::List => {
            for row in tokens.list(&TenantId::default_tenant(), &Tenants::All).await? {
                let expires = row.expire_time.map_or_else(|| "never".to_owned(), rfc3339);
                let groups = row.group_names.as_deref().unwrap_or("all groups");
                println!(
                    "{}  {}…  {}  {}  {}  {groups}  expires {expires}  {}",
                    row.token_id,
                    row.token_prefix,
                    row.tenant_id,
                    row.user_id,
                    row.role,
                    row.token_name
                );
            }
        }
        TokenCommand::Revoke(id) => {
            let tenant = TenantId::default_tenant();
            if !tokens.revoke(&id, &tenant, &Tenants::All, WHO).await? {
                return Err(Error::not_found(format!("no token {id}")));
            }
            eprintln!("token {id} counts no more");
        }
    }
    Ok(())
}

fn body(args: TokenArgs) -> Value {
    let mut body = json!({
        "userId": args.user,
        "role": args.role,
        "tenantId": args.tenant,
        "tokenName": args.name,
        "expiresIn": args.expires,
    });
    if !args.groups.is_empty() {
        body["groupNames"] = json!(args.groups);
    }
    body
}
