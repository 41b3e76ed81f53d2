/** Why proxies differ over the cases that match. The first that matches counts. */
interface Reason {
  readonly title: string;
  readonly why: string;
  readonly of: readonly string[];
  readonly match: RegExp;
}

const FRAMING = [
  'Content-Length',
  'Transfer-Encoding',
  'responses',
  'Host',
  'header names',
  'header values',
  'lines',
  'request targets',
  'methods',
  'versions',
  'chunks',
  'trailers',
];

export const reasons: readonly Reason[] = [
  {
    title: 'Two kinds of length',
    why: 'A message with Content-Length and Transfer-Encoding, or with Transfer-Encoding in HTTP/1.0, is what request smuggling is made of. RFC 9112 section 6.1 lets a proxy drop the length, as HAProxy does, or refuse it; we refuse.',
    of: ['Content-Length', 'Transfer-Encoding', 'responses'],
    match:
      /^(?:response: )?(?:Content-Length and Transfer|Transfer-Encoding and Content|CL\.TE|TE\.CL|TE\.TE|Content-Length of 0 and|Transfer-Encoding in HTTP\/1\.0)|, and Content-Length$/,
  },
  {
    title: 'Underscores in the name of a length',
    why: 'A server that takes "_" for "-", as CGI does, reads Content_Length and Transfer_Encoding as what they resemble. Nobody needs them: we refuse them; other names with underscores pass.',
    of: ['Content-Length', 'Transfer-Encoding', 'responses', 'HTTP/2 before HTTP/1'],
    match: /Content_Length|Transfer_Encoding|header name "(?:transfer_encoding|content_length)"/,
  },
  {
    title: 'One length, said twice',
    why: 'RFC 9110 section 8.6 lets a recipient make one of a length that is repeated, or refuse it. We refuse: the next reader may take the first, the last, or neither.',
    of: ['Content-Length', 'responses'],
    match: /Content-Length (?:"5, ?5"|twice)/,
  },
  {
    title: 'A length or a coding that goes on as it came',
    why: 'Zeros before a length are digits, and a coding has no case (RFC 9110 section 8.6, RFC 9112 section 7): what they say is clear, but not to a reader that takes "010" for 8 or knows "chunked" in lower case alone. We write both anew.',
    of: ['Content-Length', 'Transfer-Encoding', 'responses', 'HTTP/2 before HTTP/1'],
    match: /"010"|Transfer-Encoding "(?:Chunked|CHUNKED)"|zeros first/,
  },
  {
    title: 'Empty members in Transfer-Encoding',
    why: 'An empty member is no coding. HAProxy 2.6 takes the list for one that does not end in chunked and passes the content without a length.',
    of: ['Transfer-Encoding', 'responses'],
    match: /"chunked,"|nothing last|Transfer-Encoding ""/,
  },
  {
    title: 'Folded lines',
    why: 'A line that begins with white space continues the one before it (obs-fold), or is a header of its own to a reader that strips the space. RFC 9112 section 5.2 lets a server refuse it; we do, wherever it stands.',
    of: FRAMING,
    match:
      /fold|continued|broken before its colon|(?:space|tab) before (?!(?:the|its) (?:colon|request|target)|its)|a line of spaces|header name "(?: |\\t| x|\\tx)"|value "(?:a)?(?:\\r)?(?:\\n|\\r\\n)(?: |\\t)|value "a\\r b"|header "(?:X: a\\r\\n b| X: a)"/,
  },
  {
    title: 'Bare CR',
    why: 'RFC 9112 section 2.2 has a bare CR refused or made a space. Envoy drops it, which joins what another reader keeps apart; we refuse it.',
    of: FRAMING,
    match: /\bCR\b(?! LF$)|CR CR LF|value "a\\rb"|X: a\\rb/,
  },
  {
    title: 'LF without CR',
    why: 'RFC 9112 section 2.2 lets a reader take LF alone for the end of a line. Two readers that choose differently see different messages, so we take CR LF alone, in heads, chunks and trailers.',
    of: FRAMING,
    match: /LF|size "5;a\\n|chunk "0\\n"/,
  },
  {
    title: 'Empty lines before a request',
    why: 'RFC 9112 section 2.2 asks for at least one to be skipped; we skip four.',
    of: ['lines'],
    match: /empty lines/,
  },
  {
    title: 'White space in a request line',
    why: 'RFC 9112 section 3 has single spaces between its parts. A reader may take more, tabs or trailing spaces for part of the target: we refuse them.',
    of: ['request targets', 'methods', 'versions'],
    match: /two spaces|a tab (?:before|after) the target|method "GET(?: |\\t)"|version "HTTP\/1\.1(?: |\\t)"/,
  },
  {
    title: 'Bytes beyond ASCII in a target',
    why: 'RFC 3986 has them percent-encoded. To a reader that splits at any white space of Latin-1, 0x85 and 0xa0 (the second byte of "à" in UTF-8) end the target: we refuse them in HTTP/1 and in HTTP/2.',
    of: ['request targets', 'HTTP/2 before HTTP/1'],
    match: /\\x(?:85|a0|c3|e2|ff)/,
  },
  {
    title: 'CONNECT',
    why: 'We and Envoy open a tunnel where a route and the configuration allow it, and never with content. HAProxy with its defaults passes it on as any method.',
    of: ['request targets'],
    match: /^CONNECT/,
  },
  {
    title: 'Targets that are no path',
    why: 'RFC 9112 section 3.2 has four forms. We take paths, URLs of http and https (passed on as path and Host), "*" for OPTIONS, and host:port for CONNECT. A URL without a path is one with "/"; its empty port is the scheme\'s. HAProxy passes the target as it came, and refuses a URL whose host is not that of Host; Envoy routes an OPTIONS of a host as "/", knows no query without a path, and takes off a user, which we refuse: RFC 9110 section 4.2.4 has it treated as an error.',
    of: ['request targets'],
    match: /^target "(?:[a-z]|HTTP|\*)|^OPTIONS|^Host that differs|^a URL in HTTP\/1\.0/,
  },
  {
    title: 'No Host, or more than one',
    why: 'RFC 9112 section 3.2 asks for 400 where Host is missing from HTTP/1.1, is there twice or is invalid, also beside a URL. Envoy joins two by a comma, and looks at the URL alone where there is one; HAProxy takes two that are equal. An empty Host names nothing that a mesh could route to. HTTP/1.0 has none: we route it by "*", Envoy only by a host that it is configured with.',
    of: ['Host'],
    match: /^no Host|^Host twice|^a Host that is bad|^Host ""/,
  },
  {
    title: 'A Host that is no host',
    why: 'What is not a host and a port (RFC 3986 section 3.2) may be split in another place by whoever routes by it next. We refuse it; Envoy checks the characters, HAProxy nothing.',
    of: ['Host'],
    match: /^Host "/,
  },
  {
    title: 'Versions',
    why: 'A higher minor version is HTTP/1.1 (RFC 9110 section 2.5), so that its connection stays; another major version is 505. Envoy and HAProxy take them for HTTP/1.',
    of: ['versions', 'methods'],
    match: /^version "HTTP\/[0-9]\.[0-9]"|preface of HTTP\/2/,
  },
  {
    title: 'Controls in a header',
    why: 'RFC 9110 section 5.5 has controls but tab refused or replaced: NUL ends a string in C, VT and FF are white space to some. HAProxy 2.6 passes them.',
    of: ['header values', 'trailers', 'responses', 'HTTP/2 before HTTP/1'],
    match: /\\x(?:0[0-9a-f]|1[0-9a-f]|7f)|NUL/,
  },
  {
    title: 'Limits of size',
    why: "HAProxy's buffer holds 16 KiB; ours and Envoy's limit for a request's head is max_request_headers_kb, 60 KiB by default. We have the same for a response's head, where Envoy has 80 KiB by default, at most 100 lines (Envoy's max_headers_count), and 16 KiB of chunk extensions in a message.",
    of: ['header names', 'header values', 'chunks', 'responses'],
    match: /,000 bytes|\(20002 bytes\)|150 headers/,
  },
  {
    title: 'Headers of the connection',
    why: 'A proxy takes off Connection and what it names (RFC 9110 section 7.6.1), and Keep-Alive, Proxy-Connection, Upgrade and TE with it; HAProxy leaves them. Neither we nor HAProxy let a client take off headers that say who it is, such as Cookie and Authorization; Envoy does, and refuses Connection: host. TE: trailers goes on, named by Connection.',
    of: ['headers of the connection', 'responses'],
    match: /Connection|Keep-Alive|TE:|Upgrade/,
  },
  {
    title: 'Expectations',
    why: 'RFC 9110 section 10.1.1 lets a server answer an unknown expectation with 417; since we answer for the expectation, we do. One from HTTP/1.0 is not passed on.',
    of: ['headers of the connection'],
    match: /^Expect/,
  },
  {
    title: 'Chunk sizes',
    why: 'A size is hexadecimal digits, below 2^52 and in thirteen of them, and nothing but ";" comes before CR LF (RFC 9112 section 7.1). Envoy and HAProxy take spaces after it and any number of zeros, and Envoy sizes up to 2^64, whose content it waits for.',
    of: ['chunks', 'responses'],
    match: /^(?:response: )?(?:chunk size|last chunk)/,
  },
  {
    title: 'Trailers',
    why: 'A trailer is a header line and read as strictly. HAProxy 2.6 drops trailers without a look at them.',
    of: ['trailers'],
    match: /space before its colon/,
  },
  {
    title: 'Chunk extensions',
    why: 'RFC 9112 section 7.1.1 has tokens and quoted strings there: no controls. Envoy and HAProxy look at no byte of them.',
    of: ['chunks'],
    match: /^chunk extension/,
  },
  {
    title: 'A chunk that is longer than its size',
    why: 'After its data a chunk has CR LF. Envoy skips what comes before that: a reader that counts sees other chunks.',
    of: ['chunks', 'responses'],
    match: /longer than its size/,
  },
  {
    title: 'Content where none can be',
    why: 'A response 204 has none (RFC 9110 section 15.3.5), and 1xx neither. What says otherwise ends the connection to the upstream; the response itself has one meaning, and goes on without. Envoy puts 502 in its place.',
    of: ['responses'],
    match: /204 with|103 with/,
  },
  {
    title: 'Informational responses',
    why: 'RFC 9110 section 15.2 has a proxy pass them on: we do, up to sixteen of them. Envoy drops them unless it is told otherwise, and counts none.',
    of: ['responses'],
    match: /(?:10[0-3]|of them) first/,
  },
  {
    title: 'Status lines',
    why: 'HTTP/1.0 or 1.1, one space, three digits from 100 to 599 (RFC 9112 section 4, RFC 9110 section 15). HAProxy passes whatever stands there, so that the client gets what is no response.',
    of: ['responses'],
    match: /status line|empty line first/,
  },
  {
    title: 'Authorities and schemes in HTTP/2',
    why: 'RFC 9113 section 8.3.1 has :authority a host and a port, without a user, and a Host that contradicts it refused; a scheme other than http and https is nothing that we could pass. HAProxy takes the default port off, makes an absolute target of another scheme, and reads the end of a path out of an authority.',
    of: ['HTTP/2 before HTTP/1'],
    match: /:authority|:scheme|host (?:that differs|twice)/,
  },
  {
    title: 'Malformed requests in HTTP/2',
    why: 'White space around a value, a length that is not digits alone or without its content, and "*" for another method than OPTIONS make a request malformed (RFC 9113 sections 8.2.1, 8.1.1 and 8.3.1): RST_STREAM with PROTOCOL_ERROR. A Content-Length among the trailers says nothing (RFC 9110 section 6.5.1) and is dropped; the others refuse it.',
    of: ['HTTP/2 before HTTP/1'],
    match: /header value|content-length|:path "\*"/,
  },
];
