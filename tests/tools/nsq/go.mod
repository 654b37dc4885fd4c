// Pins the nsqd that the tests run against. `go install …@v1.3.0` is refused by
// Go because nsq's own go.mod has a replace directive: this module repeats it.
module agent-test-tools

go 1.17

require github.com/nsqio/nsq v1.3.0

replace github.com/judwhite/go-svc => github.com/mreiferson/go-svc v1.2.2-0.20210815184239-7a96e00010f6
