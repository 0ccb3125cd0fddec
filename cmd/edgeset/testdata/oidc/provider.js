// An OpenID Connect provider for the tests of logins. Its argument says, in JSON,
// where it listens, what it calls itself and who its clients are. Its first line
// of output is its address. The keys that it signs with are new each time that it
// is started.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'

import Provider from 'oidc-provider'

const { port, issuer, clients } = JSON.parse(process.argv[2])

function key(type, options, alg) {
  const { privateKey } = generateKeyPairSync(type, options)
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: randomUUID() }
}

// Everybody is whoever they say. Who has "nameless" in it has no nickname.
async function findAccount(ctx, id) {
  return {
    accountId: id,
    claims: () => ({
      sub: id, name: `${id} of the test`, email: `${id}@example.org`, email_verified: true,
      ...(id.includes('nameless') ? {} : { nickname: `${id}-nick` }),
    }),
  }
}

const server = createServer()
server.listen(port, '127.0.0.1', () => {
  const address = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(issuer, {
    clients,
    findAccount,
    claims: { openid: ['sub'], profile: ['name', 'nickname'], email: ['email', 'email_verified'] },
    cookies: { keys: [randomUUID()] },
    jwks: {
      keys: [
        key('rsa', { modulusLength: 2048 }, 'RS256'),
        key('ec', { namedCurve: 'P-256' }, 'ES256'),
        key('ed25519', {}, 'EdDSA'),
      ],
    },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  })
  server.on('request', provider.callback())
  console.log(address)
})
