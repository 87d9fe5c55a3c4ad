// `oauth2-mock-server` behind a switchboard: an issuer that signs whatever it is told, rotates its keys, and publishes
// nonsense in their place.
//
//   node hostile-issuer.mjs CHAIN KEY    prints {"https": port, "control": port}
//
// Control, each a POST of JSON:
//   /mint     {header, claims, kid?, hash?}   a credential with exactly these: objects, or text as it stands
//   /rotate   {alg, kid, keep?}               a new key; the others are forgotten unless `keep`
//   /publish  {path, mode, body?, …}          what `path` answers from now on, see `misbehave`; mode `honest` ends it
//   /counts   {}                              requests so far, by path
//   /keys     {}                              the keys that are published

import crypto from 'node:crypto'

import { listenControl, listenTls, load, ready } from './common.mjs'

const { OAuth2Issuer, OAuth2Service } = await load('oauth2-mock-server')
const { exportJWK, generateKeyPair } = await load('jose')

const issuer = new OAuth2Issuer()
const service = new OAuth2Service(issuer)
const privates = new Map()
const counts = {}
const modes = new Map()
const retired = new Set()
let maxAge

async function generate(alg, kid) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, ...(alg === 'EdDSA' && { crv: 'Ed25519' }) })
  const jwk = { ...(await exportJWK(privateKey)), alg, kid, use: 'sig' }
  privates.set(kid, { alg, key: crypto.createPrivateKey({ key: jwk, format: 'jwk' }) })
  await issuer.keys.add(jwk)
}

function sign(alg, key, message) {
  const data = Buffer.from(message)
  if (alg === 'EdDSA') return crypto.sign(null, data, key)
  const options = alg.startsWith('PS')
    ? { key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST }
    : { key, dsaEncoding: 'ieee-p1363' }
  return crypto.sign(`sha${alg.slice(2)}`, data, options)
}

// The service has no way to forget a key.
const published = () => issuer.keys.toJSON().filter(({ kid }) => !retired.has(kid))

const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

function mint({ header, claims, kid, alg, secret }) {
  const message = `${part(header)}.${part(claims)}`
  if (secret) return `${message}.${crypto.createHmac('sha256', secret).update(message).digest('base64url')}`
  const signer = privates.get(kid ?? header.kid)
  return `${message}.${sign(alg ?? signer.alg, signer.key, message).toString('base64url')}`
}

function misbehave(mode, request, response) {
  const send = (status, fields, body) => response.writeHead(status, fields).end(body)
  switch (mode.mode) {
    case 'status':
      return send(mode.status, {}, 'no')
    case 'text':
      return send(200, { 'content-type': mode.type ?? 'application/json' }, mode.body)
    case 'redirect':
      return send(302, { location: mode.location }, '')
    case 'hang':
      return undefined
    case 'slow':
      response.writeHead(200, { 'content-type': 'application/json' })
      return void setInterval(() => response.write(' '), 100).unref()
    case 'endless': {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = () => { while (!response.destroyed && response.write(Buffer.alloc(65536, 0x20))); }
      response.on('drain', more)
      return more()
    }
    default:
      throw new Error(`no such mode: ${mode.mode}`)
  }
}

const handler = { current: undefined }
const port = await listenTls(handler)
issuer.url = `https://localhost:${port}`
handler.current = (request, response) => {
  const path = request.url.split('?')[0]
  counts[path] = (counts[path] ?? 0) + 1
  if (maxAge !== undefined) response.setHeader('cache-control', `max-age=${maxAge}`)
  const mode = modes.get(path)
  if (!mode && path === '/jwks') return misbehave({ mode: 'text', body: JSON.stringify({ keys: published() }) }, request, response)
  return mode ? misbehave(mode, request, response) : service.requestHandler(request, response)
}
await generate('ES256', 'one')

const control = await listenControl(async (path, said) => {
  switch (path) {
    case '/mint':
      return { credential: mint(said) }
    case '/rotate':
      if (!said.keep) for (const { kid } of issuer.keys.toJSON()) retired.add(kid)
      return generate(said.alg, said.kid)
    case '/publish':
      if (said.maxAge !== undefined) maxAge = said.maxAge
      if (!said.path) return {}
      said.mode === 'honest' ? modes.delete(said.path) : modes.set(said.path, said)
      return {}
    case '/counts':
      return counts
    case '/keys':
      return { keys: published() }
    default:
      throw new Error(`no such control: ${path}`)
  }
})
ready({ https: port, control })
