// The page of a book, made of what details and reviews answer. It waits 3 s for reviews and tries twice, as Bookinfo's does: with ratings
// delayed by more than that, this is the mistake that fault injection shows.
import { ask, bodyOf, serve } from './service.mjs';

const { DETAILS = 'http://details:9080', REVIEWS = 'http://reviews:9080' } = process.env;
const timeoutMs = 3_000;
const reviewsTries = 2;
const products = [{ id: 0, title: 'The Comedy of Errors', description: 'Two pairs of twins, parted at birth, meet in one town.' }];

const escaped = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

function userOf(request) {
  const match = /(?:^|;\s*)user=([^;]+)/.exec(request.headers.cookie ?? '');
  return match === null ? '' : decodeURIComponent(match[1]);
}

/** Headers of the calls that are made for a request: who the user is comes of the session, not of what a browser says. */
function headersFor(request) {
  const { 'end-user': _, ...rest } = request.headers;
  const user = userOf(request);
  return user === '' ? rest : { ...rest, 'end-user': user };
}

async function details(request, id) {
  return ask(`${DETAILS}/details/${id}`, { headers: headersFor(request), timeoutMs }).catch(() => ({
    error: 'The details of this book are not available at the moment.',
  }));
}

async function reviews(request, id) {
  for (let tries = 0; tries < reviewsTries; tries++) {
    try {
      return await ask(`${REVIEWS}/reviews/${id}`, { headers: headersFor(request), timeoutMs });
    } catch {
      // The second time it may be well again.
    }
  }
  return { error: 'The reviews of this book are not available at the moment.' };
}

function starsOf({ rating }) {
  if (rating === undefined) return '';
  if (rating.error !== undefined) return `<p class="error">${escaped(rating.error)}</p>`;
  return `<p class="stars" style="color: ${escaped(rating.color)}">${'★'.repeat(rating.stars)}${'☆'.repeat(5 - rating.stars)}</p>`;
}

function page(user, product, about, reviewed) {
  const known = about.error === undefined ? Object.entries(about).map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`) : undefined;
  const said =
    reviewed.error === undefined
      ? reviewed.reviews.map((one) => `<blockquote>${escaped(one.text)}<footer>${escaped(one.reviewer)}</footer>${starsOf(one)}</blockquote>`)
      : undefined;
  const session =
    user === ''
      ? '<form method="post" action="/login"><input name="username" placeholder="user"> <button>sign in</button></form>'
      : `<p>signed in as <b>${escaped(user)}</b> <a href="/logout">sign out</a></p>`;
  return `<!doctype html>
<html lang="en">
<head><title>${escaped(product.title)}</title><link rel="stylesheet" href="/static/page.css"></head>
<body>
${session}
<h1>${escaped(product.title)}</h1>
<p>${escaped(product.description)}</p>
<h2>Details</h2>
${known === undefined ? `<p class="error">${escaped(about.error)}</p>` : `<dl>${known.join('')}</dl>`}
<h2>Reviews</h2>
${said === undefined ? `<p class="error">${escaped(reviewed.error)}</p>` : `${said.join('\n')}\n<p>served by reviews ${escaped(reviewed.version)}</p>`}
</body>
</html>
`;
}

const home = { status: 302, headers: { location: '/productpage' } };
const answered = (found) => ({ status: found.error === undefined ? 200 : 503, body: found });

serve('productpage', {
  '/productpage': async (request) => {
    const [about, reviewed] = await Promise.all([details(request, 0), reviews(request, 0)]);
    return { body: page(userOf(request), products[0], about, reviewed) };
  },
  '/login': async (request) => {
    const user = new URLSearchParams(await bodyOf(request)).get('username') ?? '';
    return { ...home, headers: { ...home.headers, 'set-cookie': `user=${encodeURIComponent(user)}; HttpOnly; Path=/` } };
  },
  '/logout': async () => ({ ...home, headers: { ...home.headers, 'set-cookie': 'user=; Max-Age=0; Path=/' } }),
  '/static/page.css': async () => ({
    body: 'body { font: 16px/1.5 sans-serif; max-width: 50em; margin: 2em auto } .error { color: #b00 } dt { float: left; width: 8em }\n',
    headers: { 'content-type': 'text/css' },
  }),
  '/api/v1/products': async () => ({ body: products }),
  '/api/v1/products/:id': async (request, id) => answered(await details(request, id)),
  '/api/v1/products/:id/reviews': async (request, id) => answered(await reviews(request, id)),
});
