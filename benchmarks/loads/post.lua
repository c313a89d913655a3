-- SPDX-License-Identifier: Apache-2.0
-- wrk: posts one body again and again, and prints its findings as one line of JSON.
-- Argument after the URL: the file that holds the body.

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  wrk.headers["Content-Type"] = "application/json"
  file:close()
  prepared = wrk.format()
end

function request()
  return prepared
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    'RESULT {"requests": %d, "duration_us": %d, "failed": %d, "p50_us": %d, "p99_us": %d, "mean_us": %.1f}\n',
    summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99), latency.mean))
end
