// `oidc-provider`, a certified OpenID provider: access credentials as JWTs (RFC 9068) in RS256, ES256 and EdDSA, opaque ones
// with introspection, and either bound to a DPoP key or to a client's certificate.
//
//   node oidc-provider.mjs CHAIN KEY [CLIENT_AUTHORITY]    prints {"https": port}
//
// Clients: `svc` (anything), `bound` (bound to its certificate), `gw` (introspects); each has the secret `NAME-secret`. The
// request for a credential says more: `fmt` (jwt, opaque), `alg`, `groups` (with commas), `ttl` (seconds).

import { listenTls, load, ready } from './common.mjs'

const { Provider } = await load('oidc-provider')
const { exportJWK, generateKeyPair } = await load('jose')

const AUDIENCE = 'https://llm.corp.example'

async function key(alg, options) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, ...options })
  return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: `${alg}-1` }
}

const client = (name, more) => ({
  client_id: name,
  client_secret: `${name}-secret`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  ...more,
})

const handler = { current: (_, response) => response.writeHead(503).end() }
const port = await listenTls(handler)
const issuer = `https://localhost:${port}`
const asked = (context) => context.oidc.body ?? {}

const provider = new Provider(issuer, {
  jwks: { keys: [await key('RS256'), await key('ES256'), await key('EdDSA', { crv: 'Ed25519' })] },
  clients: [client('svc'), client('bound', { tls_client_certificate_bound_access_tokens: true }), client('gw')],
  scopes: ['chat', 'tools'],
  extraParams: ['fmt', 'alg', 'groups', 'ttl'],
  extraTokenClaims: (context) => {
    const groups = asked(context).groups
    return { tid: 'corp', ...(groups !== undefined && { groups: groups.split(',').filter(Boolean) }) }
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    dPoP: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate: (context) => {
        const certificate = context.req.socket.getPeerX509Certificate?.()
        return certificate?.toString()
      },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: (context, audience) => ({
        scope: 'chat tools',
        audience,
        accessTokenTTL: Number(asked(context).ttl ?? 300),
        accessTokenFormat: asked(context).fmt === 'opaque' ? 'opaque' : 'jwt',
        jwt: { sign: { alg: asked(context).alg ?? 'RS256' } },
      }),
    },
  },
})
handler.current = provider.callback()
ready({ https: port })
