// The stars of each reviewer. DELAY_MS makes it slow.
import { serve } from './service.mjs';

const { DELAY_MS = '0' } = process.env;
const stars = { 'Reader 1': 5, 'Reader 2': 4 };

serve('ratings', {
  '/ratings/:id': async (_request, id) => {
    await new Promise((resolve) => setTimeout(resolve, Number(DELAY_MS)));
    return { body: { id: Number(id), ratings: stars } };
  },
});
