/** Which of the API server's field errors it is. */
export type FieldErrorType = 'Required' | 'Invalid' | 'TypeInvalid' | 'NotSupported' | 'Duplicate' | 'Forbidden' | 'TooLong' | 'TooMany' | 'Unknown';

/** One field that is wrong, in the words of a Kubernetes API server. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** "spec.http[0].route[0].weight"; '' for the object itself. */
  readonly field: string;
  /** Whole: "spec.http[0].route[0].weight: Invalid value: -1: ...". */
  readonly message: string;
  /** What it was likely meant to be, where that can be told: the nearest field name or value. */
  readonly suggestion?: string;
}
