/**
 * A genuine OpenID Connect provider on loopback, for the gateway's tests. Anyone may sign in with any name; the name is the subject.
 * Arguments: the port, and where the page's browser comes back to.
 */
import Provider from "oidc-provider";

const [port, page] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "chat-page",
      application_type: "native",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code"],
      response_types: ["code"],
      redirect_uris: [page],
    },
    {
      client_id: "machine",
      client_secret: "a secret for tests only",
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
    },
  ],
  cookies: { keys: ["for tests only"] },
  // The ID token tells the name, so that nobody has to ask for it.
  conformIdTokenClaims: false,
  claims: { profile: ["name", "preferred_username"] },
  async findAccount(_, id) {
    return { accountId: id, claims: () => ({ sub: id, name: `${id} Example`, preferred_username: id }) };
  },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({ scope: "", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: 300 }),
    },
  },
});
provider.listen(Number(port), "127.0.0.1");
