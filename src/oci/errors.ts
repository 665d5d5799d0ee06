/**
 * The one table from error code to HTTP status and message.
 *
 * The first two groups are codes of the OCI distribution specification ("Error Codes") and of docker's older HTTP API
 * V2. The last group is our own, for conditions that neither specification names.
 */
export const OCI_ERRORS = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 400, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DIGEST_INVALID: { status: 400, message: 'provided digest is malformed or does not match the uploaded content' },
  MANIFEST_BLOB_UNKNOWN: { status: 404, message: 'manifest references a manifest or blob unknown to the repository' },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown to registry' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },

  TAG_INVALID: { status: 400, message: 'invalid tag' },
  PAGINATION_NUMBER_INVALID: { status: 400, message: 'invalid number of results requested' },
  RANGE_INVALID: { status: 416, message: 'invalid content range' },
  UNAVAILABLE: { status: 503, message: 'service unavailable' },
  UNKNOWN: { status: 500, message: 'unknown error' },

  BLOB_TOO_LARGE: { status: 413, message: "blob is larger than the registry's storage" },
  BODY_TOO_LARGE: { status: 413, message: 'body is larger than this request allows' },
  HEADERS_TOO_LARGE: { status: 431, message: 'headers are longer or more numerous than this registry accepts' },
  LOOP_DETECTED: { status: 508, message: 'this registry has passed on the same request before' },
  MANIFEST_TOO_LARGE: { status: 413, message: 'manifest is larger than this registry accepts' },
  HOST_UNKNOWN: { status: 421, message: 'browsers have to use one of the host names of this registry' },
  NOT_FOUND: { status: 404, message: 'no such endpoint' },
  REQUEST_INVALID: { status: 400, message: 'malformed request' },
  REQUEST_TIMEOUT: { status: 408, message: 'the request came too slowly' },
  STORAGE_FULL: { status: 507, message: "no space left in the registry's storage" },
  UPSTREAM_INVALID: { status: 502, message: 'another registry answered with something invalid' },
  URI_TOO_LONG: { status: 414, message: 'path and query are longer than this registry accepts' },
} as const satisfies Record<string, { status: number; message: string }>

export type OciErrorCode = keyof typeof OCI_ERRORS

export interface OciErrorInit {
  /** Instead of the message of the code: the one thing that docker shows of an error. Never a file path or a stack. */
  message?: string
  /** Sent to the client beside the fixed message of the code: never a file path or a stack */
  detail?: Record<string, unknown>
  /** Headers that the response carries, e.g. the `Range` of an upload */
  headers?: Record<string, string | string[]>
  cause?: unknown
}

/** An error that is sent to the client. Its status comes from {@link OCI_ERRORS}, and mostly its message. */
export class OciError extends Error {
  static readonly name = 'OciError'
  readonly name = 'OciError'
  readonly code: OciErrorCode
  readonly detail: Record<string, unknown> | undefined
  readonly headers: Record<string, string | string[]>

  constructor(code: OciErrorCode, init: OciErrorInit = {}) {
    super(init.message ?? OCI_ERRORS[code].message, { cause: init.cause })
    this.code = code
    this.detail = init.detail
    this.headers = init.headers ?? {}
  }

  get status(): number {
    return OCI_ERRORS[this.code].status
  }
}
