/** How much a client wants an encoding, by its Accept-Encoding (RFC 9110 section 12.5.3): 0 to 1; 0: not at all. */
export function encodingQuality(acceptEncoding: string, encoding: string): number {
  let any = 0;
  for (const part of acceptEncoding.split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    let quality = 1;
    for (const parameter of parameters) {
      const given = /^q=([01](?:\.\d{0,3})?)$/.exec(parameter);
      if (given !== null) quality = Number(given[1]);
    }
    if (name === encoding || name === `x-${encoding}`) return quality;
    if (name === '*') any = quality;
  }
  return any;
}
