/** Of one listener since it began, or since /reset_counters. */
export class ListenerStats {
  accepted = 0;
  noFilterChain = 0;
  tlsRefused = 0;
  /** Beyond the listener's connection limit. */
  overflow = 0;
  /** Beyond that of the whole proxy. */
  globalOverflow = 0;
  /** By the overload manager. */
  shed = 0;
  /** By a network filter: connection limit, rate limit, RBAC. */
  refused = 0;
  /** ClientHellos that came after the upstream's greeting had been passed in plain text. */
  lateHello = 0;
}
