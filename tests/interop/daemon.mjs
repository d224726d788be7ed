// A daemon that validates license tokens with npm's jose, to compare with: node daemon.mjs SOCKET KEYS.json
// It opens and verifies each token anew; no cache, no audit log, no replay store.
import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import * as jose from 'jose';

const [, , socket, file] = process.argv;
const { secret, kid, agent, jwk } = JSON.parse(readFileSync(file, 'utf8'));
const key = new Uint8Array(
  hkdfSync('sha256', jose.base64url.decode(secret), '', `license-agent/token/A256GCM/${kid}`, 32));
const signer = await jose.importJWK(jwk, 'ES256');

async function validate({ license_token: token, nonce }) {
  const { plaintext } = await jose.compactDecrypt(token, key, {
    keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'],
  });
  const { payload } = await jose.jwtVerify(new TextDecoder().decode(plaintext), signer, {
    algorithms: ['ES256'], typ: 'license+jwt', audience: agent,
  });
  return {
    valid: true, reason: 'VALID', nonce, license_id: payload.sub, product: payload.product, expires_at: payload.exp,
    features: payload.features, metadata: payload.metadata,
  };
}

createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', async () => {
    let status = 200;
    let answer;
    try {
      answer = await validate(JSON.parse(Buffer.concat(chunks)));
    } catch (error) {
      [status, answer] = [400, { valid: false, reason: error.code ?? error.message }];
    }
    const body = JSON.stringify(answer);
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
    response.end(body);
  });
}).listen(socket, () => console.log('node_daemon_ready'));
