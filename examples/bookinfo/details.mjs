// What is known of a book. v2 asks a service outside of the mesh (BOOKS) for the publisher.
import { ask, serve } from './service.mjs';

const { VERSION = 'v1', BOOKS = '' } = process.env;
const book = { type: 'paperback', pages: 200, publisher: 'Publisher A', language: 'English', author: 'William Shakespeare', year: 1595 };

serve('details', {
  '/details/:id': async (request, id) => {
    const more = BOOKS === '' ? {} : await ask(BOOKS, { headers: request.headers, timeoutMs: 3_000 });
    return { body: { id: Number(id), version: VERSION, ...book, ...more } };
  },
});
