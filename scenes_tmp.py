import sys, time, collections, random
from multiprocessing import get_context
from tests.chaos import in_process
from tests.chaos.scenes import SCENES
if __name__=="__main__":
    n=int(sys.argv[1]); scenes=sys.argv[2:] or list(SCENES)
    for scene in scenes:
        cases=in_process._in(scene, 30)
        t=time.time(); bad=0
        some=random.Random(1).sample(cases,min(n,len(cases)))
        with get_context("spawn").Pool(2) as p:
            for o,c in zip(p.imap(in_process.outcome,some),some):
                if o["wrong"]:
                    bad+=1
                    print("WRONG",c,o["wrong"][:6],flush=True)
        print(scene,len(cases),"of which",len(some),"bad",bad,round(time.time()-t),flush=True)
