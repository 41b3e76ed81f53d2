// Two reviews of a book. v1 shows no stars, v2 black ones, v3 red ones: these two ask ratings for them, and v3 does not wait as long.
import { ask, serve } from './service.mjs';

const { VERSION = 'v1', RATINGS = 'http://ratings:9080' } = process.env;
const colors = { v2: 'black', v3: 'red' };
const timeoutsMs = { v2: 10_000, v3: 2_500 };
const texts = [
  { reviewer: 'Reader 1', text: 'A joy from the first mistaken twin to the last.' },
  { reviewer: 'Reader 2', text: 'Very funny, though slight beside his later plays.' },
];

async function rating(request, id) {
  try {
    const { ratings } = await ask(`${RATINGS}/ratings/${id}`, { headers: request.headers, timeoutMs: timeoutsMs[VERSION] });
    return ({ reviewer }) => ({ stars: ratings[reviewer] ?? 0, color: colors[VERSION] });
  } catch {
    return () => ({ error: 'ratings are not available at the moment' });
  }
}

serve('reviews', {
  '/reviews/:id': async (request, id) => {
    const rated = colors[VERSION] === undefined ? undefined : await rating(request, id);
    return { body: { id: Number(id), version: VERSION, reviews: texts.map((one) => (rated === undefined ? one : { ...one, rating: rated(one) })) } };
  },
});
