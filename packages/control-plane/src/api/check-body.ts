import { ApiFailure } from './api-failure.ts';
import type { ApplyRequest, DeleteTarget, TokenRequest, UndoRequest } from './shapes.ts';

const MAX_DOCUMENTS = 10_000;

/** Whatever JSON a caller sent as the request that it must be. Throws an `ApiFailure` that names the field. */
export function applyRequest(body: unknown): ApplyRequest {
  const { documents, dryRun, namespace, ifRevision } = record(body, 'the body', ['documents', 'dryRun', 'namespace', 'ifRevision']);
  if (!Array.isArray(documents) || documents.length > MAX_DOCUMENTS) throw bad('documents', `a list of at most ${MAX_DOCUMENTS} documents`);
  return {
    documents: documents.map((document: unknown, index) => {
      const { file, text } = record(document, `documents[${index}]`, ['file', 'text']);
      return { file: string(file, `documents[${index}].file`, 4096), text: string(text, `documents[${index}].text`, Number.POSITIVE_INFINITY) };
    }),
    ...(dryRun === undefined ? {} : { dryRun: boolean(dryRun, 'dryRun') }),
    ...(namespace === undefined ? {} : { namespace: dnsLabel(namespace, 'namespace') }),
    ...(ifRevision === undefined ? {} : { ifRevision: revision(ifRevision, 'ifRevision') }),
  };
}

export function deleteRequest(body: unknown): DeleteTarget[] {
  const { resources } = record(body, 'the body', ['resources']);
  if (!Array.isArray(resources) || resources.length === 0 || resources.length > MAX_DOCUMENTS)
    throw bad('resources', `a list of 1 to ${MAX_DOCUMENTS} resources`);
  return resources.map((resource: unknown, index) => {
    const { kind, namespace, name } = record(resource, `resources[${index}]`, ['kind', 'namespace', 'name']);
    const text = (value: unknown, field: string): string => string(value, `resources[${index}].${field}`, 512);
    return { kind: text(kind, 'kind'), namespace: text(namespace, 'namespace'), name: text(name, 'name') };
  });
}

export function undoRequest(body: unknown): UndoRequest {
  const { revision: to, dryRun } = record(body, 'the body', ['revision', 'dryRun']);
  return { ...(to === undefined ? {} : { revision: revision(to, 'revision') }), ...(dryRun === undefined ? {} : { dryRun: boolean(dryRun, 'dryRun') }) };
}

export function tokenRequest(body: unknown): TokenRequest {
  const { namespace, serviceAccount, ttlMs, uses } = record(body, 'the body', ['namespace', 'serviceAccount', 'ttlMs', 'uses']);
  if (ttlMs !== undefined && (typeof ttlMs !== 'number' || !Number.isFinite(ttlMs))) throw bad('ttlMs', 'a number of milliseconds');
  if (uses !== undefined && uses !== 'single' && uses !== 'multiple') throw bad('uses', '"single" or "multiple"');
  return {
    namespace: string(namespace, 'namespace', 253),
    serviceAccount: string(serviceAccount, 'serviceAccount', 253),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(uses === undefined ? {} : { uses }),
  };
}

/** A number of the query, within bounds; `fallback` where there is none. */
export function queryNumber(query: URLSearchParams, name: string, fallback: number, least: number, most: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < least) throw bad(name, `a number of at least ${least}`);
  return Math.min(value, most);
}

function record(value: unknown, name: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(name, 'an object');
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw new ApiFailure(400, 'BAD_REQUEST', `${name} has no field "${unknown.slice(0, 100)}"`, unknown.slice(0, 100), `Fields are ${known.join(', ')}`);
  return value as Record<string, unknown>;
}

function string(value: unknown, name: string, longest: number): string {
  if (typeof value !== 'string' || value.length > longest)
    throw bad(name, longest === Number.POSITIVE_INFINITY ? 'a text' : `a text of at most ${longest} characters`);
  return value;
}

function dnsLabel(value: unknown, name: string): string {
  if (typeof value !== 'string' || !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value)) throw bad(name, 'a name of lower-case letters, digits and dashes');
  return value;
}

/** A number as a text, as the answers have it. */
export function revision(value: unknown, name: string): string {
  if (typeof value !== 'string' || !/^\d{1,16}$/.test(value)) throw bad(name, 'the number of a revision, as "12"');
  return value;
}

function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw bad(name, 'true or false');
  return value;
}

function bad(name: string, wanted: string): ApiFailure {
  return new ApiFailure(400, 'BAD_REQUEST', `${name} must be ${wanted}`, name, 'Correct the request');
}
