// What the issuers here share: packages from where tests/setup/install put them, a server with TLS on a port of the system's
// choosing, one line of JSON about it on stdout, and an end with stdin.

import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { pathToFileURL } from 'node:url'

const installed = createRequire(new URL('../../../.cache/identity/package.json', import.meta.url))

export const load = (name) => import(pathToFileURL(installed.resolve(name)))

// The arguments: files of a chain, of its key, and perhaps of the authority whose client certificates are asked for.
export async function listenTls(handler) {
  const [chain, key, clients] = process.argv.slice(2)
  const server = https.createServer({
    cert: readFileSync(chain),
    key: readFileSync(key),
    ...(clients && { ca: readFileSync(clients), requestCert: true, rejectUnauthorized: false }),
    keepAliveTimeout: 60_000,
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.on('request', (request, response) => handler.current(request, response))
  return server.address().port
}

// Says what it is told over plain HTTP: JSON in, JSON out.
export async function listenControl(answer) {
  const server = http.createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    try {
      const answered = JSON.stringify((await answer(request.url, text && JSON.parse(text))) ?? {})
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answered) })
      response.end(answered)
    } catch (error) {
      const said = String(error?.stack ?? error)
      response.writeHead(500, { 'content-length': Buffer.byteLength(said) })
      response.end(said)
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server.address().port
}

export function ready(ports) {
  process.stdout.write(`${JSON.stringify(ports)}\n`)
  process.stdin.resume()
  process.stdin.on('end', () => process.exit(0))
}
