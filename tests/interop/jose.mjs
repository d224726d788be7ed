// One operation of npm's jose: node jose.mjs OPERATION <json >json. What jose refuses ends with exit code 1.
import { createPrivateKey, createPublicKey, generateKeyPairSync, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as jose from 'jose';

const utf8 = (text) => new TextEncoder().encode(text);
const text = (bytes) => new TextDecoder().decode(bytes);

// The key schedule of the token, once more and independently of the agent's.
const contentKey = (secret, kid, length = 32) => new Uint8Array(
  hkdfSync('sha256', jose.base64url.decode(secret), '', `license-agent/token/A256GCM/${kid}`, length));

const privateKey = (pkcs8) => createPrivateKey({ key: Buffer.from(pkcs8, 'base64url'), format: 'der', type: 'pkcs8' });
const publicJwk = (pkcs8) => createPublicKey(privateKey(pkcs8)).export({ format: 'jwk' });
const thumbprint = (jwk) => jose.calculateJwkThumbprint(jwk);

const sign = (payload, header, key) =>
  new jose.CompactSign(utf8(payload)).setProtectedHeader(header).sign(key);
const encrypt = (payload, header, key, options) =>
  new jose.CompactEncrypt(utf8(payload)).setProtectedHeader(header).encrypt(key, options);

async function license({ signer, claims }, change = {}) {
  const header = { alg: 'ES256', kid: await thumbprint(publicJwk(signer)), typ: 'license+jwt', ...change };
  return sign(JSON.stringify(claims), header, privateKey(signer));
}

const outer = (kid, change = {}) => ({ alg: 'dir', enc: 'A256GCM', kid, cty: 'JWT', typ: 'license+jwe', ...change });

const wrap = (inner, { secret, kid }, change) => encrypt(inner, outer(kid, change), contentKey(secret, kid));

const stranger = (curve) => generateKeyPairSync('ec', { namedCurve: curve });

// What another implementation can make and the agent must refuse.
const hostile = {
  inner_unsecured: async (o) => wrap(new jose.UnsecuredJWT(o.claims).encode(), o),
  inner_hs256_with_the_public_key: async (o) => {
    const jwk = publicJwk(o.signer);
    const header = { alg: 'HS256', kid: await thumbprint(jwk), typ: 'license+jwt' };
    return wrap(await sign(JSON.stringify(o.claims), header, utf8(JSON.stringify(jwk))), o);
  },
  inner_of_another_key_under_the_server_kid: async (o) => {
    const header = { alg: 'ES256', kid: await thumbprint(publicJwk(o.signer)), typ: 'license+jwt' };
    return wrap(await sign(JSON.stringify(o.claims), header, stranger('P-256').privateKey), o);
  },
  inner_with_its_own_key_in_the_header: async (o) => {
    const { privateKey: key, publicKey } = stranger('P-256');
    const jwk = publicKey.export({ format: 'jwk' });
    const header = { alg: 'ES256', kid: await thumbprint(jwk), typ: 'license+jwt', jwk };
    return wrap(await sign(JSON.stringify(o.claims), header, key), o);
  },
  inner_es384: async (o) => {
    const header = { alg: 'ES384', kid: await thumbprint(publicJwk(o.signer)), typ: 'license+jwt' };
    return wrap(await sign(JSON.stringify(o.claims), header, stranger('P-384').privateKey), o);
  },
  inner_by_the_response_key: async (o) => wrap(await license({ signer: o.responder, claims: o.claims }), o),
  inner_of_another_type: async (o) => wrap(await license(o, { typ: 'agent-request+jwt' }), o),
  inner_without_type: async (o) => wrap(await license(o, { typ: undefined }), o),
  inner_with_a_critical_extension: async (o) => {
    const header = {
      alg: 'ES256', kid: await thumbprint(publicJwk(o.signer)), typ: 'license+jwt', crit: ['urn:x'], 'urn:x': 1,
    };
    const inner = await new jose.CompactSign(utf8(JSON.stringify(o.claims))).setProtectedHeader(header)
      .sign(privateKey(o.signer), { crit: { 'urn:x': true } });
    return wrap(inner, o);
  },
  claims_without_a_signature: async (o) => wrap(JSON.stringify(o.claims), o),
  outer_a128gcm: async (o) =>
    encrypt(await license(o), outer(o.kid, { enc: 'A128GCM' }), contentKey(o.secret, o.kid, 16)),
  outer_cbc: async (o) =>
    encrypt(await license(o), outer(o.kid, { enc: 'A128CBC-HS256' }), contentKey(o.secret, o.kid)),
  outer_key_wrap: async (o) =>
    encrypt(await license(o), outer(o.kid, { alg: 'A256KW' }), contentKey(o.secret, o.kid)),
  outer_password: async (o) =>
    encrypt(await license(o), outer(o.kid, { alg: 'PBES2-HS256+A128KW' }), utf8('password')),
  outer_with_a_key_url: async (o) => wrap(await license(o), o, { jku: 'https://localhost/keys' }),
  outer_with_a_critical_extension: async (o) => encrypt(
    await license(o), outer(o.kid, { crit: ['urn:x'], 'urn:x': 1 }), contentKey(o.secret, o.kid),
    { crit: { 'urn:x': true } }),
  outer_of_another_type: async (o) => wrap(await license(o), o, { typ: 'JWT' }),
  outer_under_the_key_of_another_name: async (o) =>
    encrypt(await license(o), outer(o.kid), contentKey(o.secret, 'pos-002.v1')),
  general_serialization: async (o) => JSON.stringify(
    await new jose.GeneralEncrypt(utf8(await license(o))).setProtectedHeader(outer(o.kid, { alg: 'A256KW' }))
      .addRecipient(contentKey(o.secret, o.kid)).encrypt()),
  signed_and_not_encrypted: async (o) => license(o),
};

const operations = {
  hostile: async () => Object.keys(hostile),
  mint: async (o) => (o.variant ? hostile[o.variant](o) : wrap(await license(o), o)),
  open: async ({ token, secret, kid, keys }) => {
    const opened = await jose.compactDecrypt(token, contentKey(secret, kid), {
      keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'],
    });
    const { payload, protectedHeader } = await jose.jwtVerify(
      text(opened.plaintext), jose.createLocalJWKSet({ keys }), { algorithms: ['ES256'], typ: 'license+jwt' });
    return { outer: opened.protectedHeader, inner: protectedHeader, claims: payload };
  },
  verify: async ({ jws, jwk }) => {
    const { payload, protectedHeader } = await jose.compactVerify(
      jws, await jose.importJWK(jwk, 'ES256'), { algorithms: ['ES256'] });
    return { header: protectedHeader, payload: JSON.parse(text(payload)), thumbprint: await thumbprint(jwk) };
  },
  sign: async ({ header, payload, key }) => sign(JSON.stringify(payload), header, privateKey(key)),
  seal: async ({ jwk, kid, secret }) => new jose.CompactEncrypt(jose.base64url.decode(secret))
    .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid, typ: 'secret+jwe' })
    .encrypt(await jose.importJWK(jwk, 'RSA-OAEP-256')),
  unseal: async ({ jwe, key }) => {
    const { plaintext, protectedHeader } = await jose.compactDecrypt(jwe, privateKey(key), {
      keyManagementAlgorithms: ['RSA-OAEP-256'], contentEncryptionAlgorithms: ['A256GCM'],
    });
    return { header: protectedHeader, secret: jose.base64url.encode(plaintext) };
  },
};

try {
  const input = readFileSync(0, 'utf8');
  const answer = await operations[process.argv[2]](input ? JSON.parse(input) : {});
  process.stdout.write(JSON.stringify(answer));
} catch (error) {
  process.stderr.write(`${error.code ?? error.name}: ${error.message}\n`);
  process.exitCode = 1;
}
