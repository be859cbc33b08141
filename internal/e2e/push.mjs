// The backend's side: POST /push over real HTTP, one by one, or back to back on one connection.

import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { after } from 'node:test';

import { PATIENCE } from './harness.mjs';

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
after(() => agent.destroy());

export const OK = '{"ROOT":{"BODY":{"RETURN_CODE":"0000","RETURN_MSG":"ok"}}}';

/** One HTTP request; the answer with its body as text. */
export function request(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    // Node sends a body without its length for some methods.
    const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
    const options = { method, headers: { ...length, ...headers }, agent, timeout: PATIENCE };
    const asked = http.request(url, options, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: text }));
      answer.on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer from ${method} ${url} in ${PATIENCE} ms`)));
    asked.on('error', reject);
    asked.end(body);
  });
}

/** POST /push with body as it is (a string or bytes), whatever it holds. */
export function post(service, body, headers = {}) {
  return request(`${service.api}/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body,
  });
}

/** The envelope around a push; data, if given, is JSON text and goes in as it is. */
export function envelope({ room, event, data }) {
  const fields = [`"eventName":${JSON.stringify(event)}`];
  if (room !== undefined) fields.unshift(`"roomId":${JSON.stringify(room)}`);
  if (data !== undefined) fields.push(`"data":${data}`);
  return `{"ROOT":{"BODY":{${fields.join(',')}}}}`;
}

/** Pushes and checks that it was accepted; returns the push's id. */
export async function push(service, what, headers) {
  const answer = await post(service, envelope(what), headers);
  assert.deepEqual([answer.status, answer.body], [200, OK]);
  assert.equal(answer.headers['x-push-result'], 'accepted');
  return answer.headers['x-push-id'];
}

/**
 * Posts bodies back to back on one connection, without waiting for an answer before the next, and checks that each was
 * accepted. Requests of one connection are handled one after the other, so their order is fixed.
 */
export function burst(service, bodies) {
  const [host, port] = service.ingest.split(':');
  const socket = net.connect(Number(port), host);
  const ok = Buffer.from(OK);
  return new Promise((resolve, reject) => {
    let kept = Buffer.alloc(0);
    let answered = 0;
    socket.setTimeout(PATIENCE, () => socket.destroy(new Error(`${answered} of ${bodies.length} pushes answered`)));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${answered} of ${bodies.length} answers: ${kept}`)));
    socket.on('data', (chunk) => {
      kept = kept.length > 0 ? Buffer.concat([kept, chunk]) : chunk;
      for (let at; (at = kept.indexOf(ok)) >= 0; kept = kept.subarray(at + ok.length)) answered += 1;
      if (answered < bodies.length) return;
      socket.removeAllListeners('close');
      socket.destroy();
      resolve();
    });
    const head = `POST /push HTTP/1.1\r\nHost: ${service.ingest}\r\nContent-Type: application/json\r\nContent-Length: `;
    socket.write(bodies.map((body) => `${head}${Buffer.byteLength(body)}\r\n\r\n${body}`).join(''));
  });
}

/** The bodies of n numbered pushes of one event, from from on. */
export function numbered(n, { room, event, from = 0, pad = '' }) {
  return Array.from({ length: n }, (_, i) => {
    const data = pad ? `{"n":${from + i},"pad":"${pad}"}` : String(from + i);
    return envelope({ room, event, data });
  });
}
