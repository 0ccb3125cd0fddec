package gateway

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/valyala/fasthttp"
)

// Operate answers a request of the operator to a route that a plugin declared
// for operators. The admin API calls it when it has checked who asks. path is
// the route's path, which lies below the deployment and plugin that are named in
// the URL.
func (g *Gateway) Operate(ctx *fasthttp.RequestCtx, deployment, plugin, path string) {
	x := g.begin(ctx)
	ctx.Response.Header.SetBytesV("X-Request-Id", x.id)
	g.guard(x, func() { x.operate(deployment, plugin, path) })
}

func (x *exchange) operate(deployment, plugin, path string) {
	ctx := x.ctx
	if !x.enter(func(t *table) *service { return t.byName(deployment) }) {
		x.refuse(noFamily, &abi.Error{Status: 404, Code: abi.HostNotFound, Message: "There is no deployment of that name."})
		return
	}
	// As it stands: the admin API has decoded it, and a second time would make
	// another path of it.
	x.path = []byte(path)
	var n *node
	if root := x.site.operators[plugin]; root != nil {
		n, x.count = root.find(x.path, &x.params)
	}
	if n == nil {
		x.notFound()
		return
	}
	if x.route = n.route(ctx.Method()); x.route == nil {
		x.wrongMethod(n)
		return
	}
	x.life.deadline = x.start.Add(x.route.deadline)
	x.caller = abi.Caller{Proof: operatorKind}
	defer x.release() // what the store has failed under
	x.runRoute()
}
